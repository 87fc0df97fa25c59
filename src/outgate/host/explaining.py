"""Says what would become of a call from a pod of this machine."""

from typing import Any

from outgate.errors import NotFoundError
from outgate.host.mesh import Mesh
from outgate.model.names import Name
from outgate.xds import explaining, naming
from outgate.xds.explaining import Explainer
from outgate.xds.policing.explaining import judge


def explain(mesh: Mesh, pod: Name, url: str) -> dict[str, Any]:
    """Return the decision on a URL (or `tcp://host:port`), with the resource, listener, route and cluster behind it.

    UsageError where it is not a URL, NotFoundError where there is no such pod.
    """
    workload = mesh.workloads.get(pod)
    if workload is None:
        raise NotFoundError(f'pods "{pod.name}" not found in namespace "{pod.namespace}"')
    domain = mesh.upstream.settings.trust_domain
    kinds = (naming.CAPTURE, naming.RAW)
    listeners = {kind: naming.workload_listener(pod, kind) for kind in kinds}
    policies = mesh.assembly.policies(pod.namespace)
    explainer = Explainer(mesh.programmed, domain, listeners, judge(policies, workload))
    target = explaining.target(url)
    answer = explainer.explain(target, pod.namespace)
    if "resource" not in answer:
        if target.address is None:
            answer["reason"] += "; inside, the name does not resolve"
        if workload.include:
            ranges = ", ".join(map(str, workload.include))
            answer["reason"] += f"; addresses outside of {ranges} are called directly"
    return {"pod": str(pod), "identity": workload.identity(domain), "url": url, **answer}
