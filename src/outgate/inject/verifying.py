"""Whether a pod that says that it has capture has it: anybody may write the annotation, and a container of our name.

It is held against a fresh injection. What decides must be equal. What the API server and other webhooks add to every
container (defaults, mounts, variables) is not held against it, but is taken out of the init container again, which runs
as root and must do nothing but what it is for.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from outgate.inject import bootstrap, pod
from outgate.inject.options import Options, Sidecar

_DECIDING = {
    pod.INIT: ("image", "command", "args", "securityContext"),
    # Whatever it runs gets no further than its user id does.
    pod.PROXY: ("image", "command", "securityContext", "restartPolicy"),
}
_HARMLESS = (
    *("name", "resources", "imagePullPolicy"),
    *("terminationMessagePath", "terminationMessagePolicy"),
)
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where the API server mounts the pod's account into every container."""


def difference(template: Mapping[str, Any], options: Options) -> tuple[str, str] | None:
    """Return how a pod that claims to have capture differs from an injected one: what, and a message."""
    bare = _bare(template)
    if template["spec"].get("hostNetwork") is True:
        return "spec.hostNetwork", "is true: its rules would be the node's"
    if found := pod.problem(bare):
        return found
    fresh = _ours(_fresh(bare, template, options))
    return next(_differences(fresh, _ours(template), template["spec"].get("volumes") or ()), None)


def renewed(template: Mapping[str, Any], options: Options) -> pod.Pod | None:
    """Return a captured pod with capture as it is now, if what it has came from another version, or registry.

    During an upgrade one controller may be asked about what another one has injected, and manifests are older than
    either. Nothing of what is claimed is kept, so that it need not be believed; None: it is to be held against it.
    """
    images = {pod.INIT: options.image, pod.PROXY: options.proxy_image}
    ours, said = _ours(template), template["metadata"]["annotations"].get(pod.STATUS)
    is_other = said != pod.status(options) or any(
        each.get("image") != images[name] for name, each in ours.items()
    )
    bare = _bare(template)
    if not is_other or template["spec"].get("hostNetwork") is True or pod.problem(bare):
        return None
    return _fresh(bare, template, options)


def _differences(
    wanted: Mapping[str, Any], there: Mapping[str, Any], volumes: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    for name, fields in _DECIDING.items():
        if name not in there:
            yield f"container {name}", "is missing, or is in the wrong list"
            continue
        for field in fields:
            if there[name].get(field) != wanted[name].get(field):
                yield f"container {name}", f"{field} is not what injection makes it"
    found = {each.get("name"): _plain(each) for each in volumes}
    for volume in bootstrap.volumes():
        if found.get(volume["name"]) != volume:
            yield f"volume {volume['name']}", "is not what injection makes it"


def settled(template: Mapping[str, Any], options: Options) -> pod.Pod:
    """Return a captured pod without what others added to its init container, which comes first; see `difference`."""
    fresh = _fresh(_bare(template), template, options)
    there = _ours(template)
    kept = {pod.INIT: _kept(there[pod.INIT], _ours(fresh)[pod.INIT]), pod.PROXY: there[pod.PROXY]}
    for group in ("initContainers", "containers"):
        fresh["spec"][group] = [kept.get(each.get("name"), each) for each in fresh["spec"][group]]
    fresh["spec"]["volumes"] = template["spec"]["volumes"]
    fresh["metadata"]["annotations"] = template["metadata"]["annotations"]
    return fresh


def _fresh(bare: Mapping[str, Any], template: Mapping[str, Any], options: Options) -> pod.Pod:
    beside = any(each.get("name") == pod.PROXY for each in template["spec"]["containers"])
    mode = Sidecar.CONTAINER if beside else Sidecar.NATIVE
    return pod.inject(bare, dataclasses.replace(options, sidecar=mode))


def _bare(template: Mapping[str, Any]) -> pod.Pod:
    """Return a template without capture."""
    volumes = {each["name"] for each in bootstrap.volumes()}
    spec = dict(template["spec"])
    for group, names in (
        ("initContainers", _DECIDING.keys()),
        ("containers", _DECIDING.keys()),
        ("volumes", volumes),
    ):
        if isinstance(spec.get(group), list):
            spec[group] = [each for each in spec[group] if each.get("name") not in names]
    return {**template, "spec": spec}


def _ours(template: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in _containers(template) if each.get("name") in _DECIDING}


def _containers(template: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for group in ("initContainers", "containers"):
        yield from template["spec"].get(group) or ()


def _kept(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the init container as it is to be, with what is harmless of how it was found."""
    mounts = [each for each in found.get("volumeMounts") or () if each["mountPath"] == _ACCOUNT]
    harmless = {key: found[key] for key in _HARMLESS if key in found}
    return {**wanted, **harmless, "volumeMounts": [*wanted["volumeMounts"], *mounts]}


def _plain(value: Any) -> Any:
    """Return a volume without the file mode that the API server adds."""
    if not isinstance(value, Mapping):
        return value
    return {key: _plain(each) for key, each in value.items() if key != "defaultMode"}
