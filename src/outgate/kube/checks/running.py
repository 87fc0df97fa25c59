"""Reads what the checks judge; nothing that it does stays in the cluster."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from outgate.errors import UnavailableError
from outgate.inject import bootstrap
from outgate.kube import client as api
from outgate.kube import naming, plain
from outgate.kube.checks import health, machines, neighbours, permissions
from outgate.kube.checks.findings import Finding, warning
from outgate.kube.client import Client
from outgate.kube.manifests import Install, manifests

Item = dict[str, Any]
_DEPLOYMENTS = f"apis/apps/v1/namespaces/{naming.SYSTEM_NAMESPACE}/deployments"
_PODS = f"api/v1/namespaces/{naming.SYSTEM_NAMESPACE}/pods"
_WEBHOOKS = "apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_SYSTEM = ("kube-system", "calico-system", "cilium", "kube-flannel", "antrea")
_PROBE = "outgate-check"


@dataclass(slots=True, eq=False)
class Checks:
    """Looks at one cluster."""

    client: Client
    _deployments: list[Item] = field(default_factory=list)
    _namespaces: list[Item] = field(default_factory=list)
    _webhooks: list[Item] = field(default_factory=list)

    async def run(self) -> AsyncIterator[Finding]:
        """Yield what is found, in an order that makes sense to read."""
        version = await plain.call(self.client, "GET", "version")
        for each in machines.server(version):
            yield each
        for each in await guarded("installation", self._installed):
            yield each
        checks: list[tuple[str, Callable[[], Awaitable[Iterable[Finding]]]]] = [
            ("nodes", self._nodes),
            ("namespaces", self._neighbours),
            ("network policies", self._engine),
        ]
        if self._deployments:
            checks += [
                ("installation", self._health),
                ("namespaces", self._maps),
                ("injection", self._injection),
            ]
        else:
            checks.append(("permissions", self._permissions))
        for name, check in checks:
            for each in await guarded(name, check):
                yield each

    async def _installed(self) -> Iterable[Finding]:
        self._deployments = await self._listed(_DEPLOYMENTS, part=True)
        return []

    async def _nodes(self) -> Iterable[Finding]:
        nodes = await self._listed("api/v1/nodes")
        try:
            cidrs = await self._listed("apis/networking.k8s.io/v1/servicecidrs")
        except api.ApiError as error:
            if api.code(error) != api.NOT_FOUND:
                raise
            cidrs = None
        chosen = _flag(self._deployments, "--cluster-ranges=")
        return [*machines.nodes(nodes), *machines.inside(cidrs, nodes, chosen)]

    async def _neighbours(self) -> Iterable[Finding]:
        self._namespaces = neighbours.labelled(await self._listed("api/v1/namespaces"))
        self._webhooks = await self._listed(_WEBHOOKS)
        return [
            *neighbours.security(self._namespaces),
            *neighbours.injectors(self._webhooks, self._namespaces),
        ]

    async def _engine(self) -> Iterable[Finding]:
        pods = [
            each
            for name in _SYSTEM
            for each in await self._listed(f"api/v1/namespaces/{name}/pods")
        ]
        return neighbours.engine(pods)

    async def _permissions(self) -> Iterable[Finding]:
        resources = await plain.resources(self.client)
        return await permissions.check(self.client, manifests(Install()), resources)

    async def _health(self) -> Iterable[Finding]:
        pods = await self._listed(_PODS)
        found = []
        for each in self._deployments:
            wanted = each["spec"]["selector"]["matchLabels"]
            own = [x for x in pods if neighbours.selects({"matchLabels": wanted}, _labels(x))]
            found.append(health.deployment(each, own, await self._said(own)))
        ours = (x for x in self._webhooks if x["metadata"]["name"] == naming.WEBHOOK)
        return [*found, *health.versions(self._deployments), health.trust(next(ours, None))]

    async def _said(self, pods: Iterable[Item]) -> str:
        """Return the last error of a container that ended."""
        for pod in pods:
            for each in (pod.get("status") or {}).get("containerStatuses") or ():
                if each.get("ready") or not each.get("restartCount"):
                    continue
                path = f"{_PODS}/{pod['metadata']['name']}/log"
                params = {"container": each["name"], "previous": "true", "tailLines": "20"}
                try:
                    log = await plain.text(self.client, path, params)
                except api.ApiError:
                    continue
                if said := health.last_error(log):
                    return said
        return ""

    async def _maps(self) -> Iterable[Finding]:
        path = f"api/v1/configmaps?fieldSelector=metadata.name%3D{bootstrap.MESH_MAP}"
        found = (await plain.call(self.client, "GET", path)).get("items") or ()
        having = {each["metadata"]["namespace"] for each in found}
        return [health.maps(self._namespaces, having)] if self._namespaces else []

    async def _injection(self) -> Iterable[Finding]:
        """Make a pod for trial: the API server asks the webhook, and keeps nothing."""
        label = {naming.INJECT_LABEL: naming.INJECT_ENABLED}
        container = {"name": "a", "image": "a"}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": _PROBE, "labels": label},
            "spec": {"containers": [container]},
        }
        path = "api/v1/namespaces/default/pods"
        try:
            made = await plain.call(self.client, "POST", path, params={"dryRun": "All"}, body=body)
        except api.ApiError as error:
            return [health.answer(api.code(error), str(error), injected=False)]
        first = made["spec"].get("initContainers") or ()
        return [health.answer(0, "", injected=bool(first))]

    async def _listed(self, path: str, *, part: bool = False) -> list[Item]:
        labels = "app.kubernetes.io/part-of=outgate" if part else ""
        return [each async for each in plain.items(self.client, path, labels)]


async def guarded(
    name: str, check: Callable[[], Awaitable[Iterable[Finding]]]
) -> Iterable[Finding]:
    """Return what a check finds; what the user may not read is a finding too."""
    try:
        return await check()
    except api.ApiError as error:
        if api.code(error) != 403:
            raise
        hint = "let somebody check who may read that"
        return [warning(name, f"not checked: {error}", hint)]
    except UnavailableError as error:
        return [warning(name, f"not checked: {error.message}", error.hint)]


def _flag(deployments: Iterable[Item], start: str) -> str:
    """Return what a flag of the controller is set to."""
    for each in deployments:
        for container in each["spec"]["template"]["spec"]["containers"]:
            for argument in container.get("args") or ():
                if argument.startswith(start):
                    return str(argument.removeprefix(start))
    return ""


def _labels(item: Item) -> dict[str, str]:
    return item["metadata"].get("labels") or {}
