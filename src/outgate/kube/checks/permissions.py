"""Asks the API server whether the user may do what an installation needs, object by object."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outgate.kube import plain
from outgate.kube.checks.findings import Finding, error, ok, some
from outgate.kube.client import Client
from outgate.kube.objects import Manifest
from outgate.kube.plain import Resource

_CHECK = "permissions"
_VERBS = ("get", "create", "patch")
"""What kubectl apply does."""
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Right:
    """To do something with a kind; `namespace` is empty for all of them, or for a kind that is in none."""

    verb: str
    group: str
    plural: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        """As kubectl auth can-i takes it."""
        place = f" -n {self.namespace}" if self.namespace else ""
        return f"{self.verb} {'.'.join(filter(None, (self.plural, self.group)))}{place}"


def needed(
    manifests: Iterable[Manifest], resources: Iterable[Resource]
) -> tuple[list[Right], list[str]]:
    """Return what applying manifests needs, and the kinds of them that the server does not have."""
    known = {(f"{each.group}/{each.version}".lstrip("/"), each.kind): each for each in resources}
    found: dict[Right, None] = {}
    missing: dict[str, None] = {}
    for each in manifests:
        resource = known.get((each["apiVersion"], each["kind"]))
        if resource is None:
            missing[f"{each['kind']} ({each['apiVersion']})"] = None
            continue
        namespace = each["metadata"].get("namespace", "")
        found |= dict.fromkeys(
            Right(verb, resource.group, resource.plural, namespace) for verb in _VERBS
        )
    return list(found), list(missing)


def granted(manifests: Iterable[Manifest]) -> list[Right]:
    """Return what the manifests' roles give: nobody may give more than he has, unless he may escalate."""
    return [
        Right(verb, group, plural, each["metadata"].get("namespace", ""), name)
        for each in manifests
        if each["kind"] in ("Role", "ClusterRole")
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for plural in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames") or [""]
    ]


async def denied(client: Client, rights: Iterable[Right]) -> list[Right]:
    """Return those of the rights that the user has not."""
    return [each for each in rights if not await _is_allowed(client, each)]


async def check(
    client: Client, manifests: list[Manifest], resources: list[Resource]
) -> list[Finding]:
    """Judge whether the user may install."""
    rights, missing = needed(manifests, resources)
    lacking = await denied(client, rights)
    escalate = [Right("escalate", _RBAC, plural) for plural in ("roles", "clusterroles")]
    if await denied(client, escalate):
        lacking += await denied(client, granted(manifests))
    return list(judged(lacking, missing))


def judged(lacking: list[Right], missing: list[str]) -> Iterator[Finding]:
    """Say what an installation would fail at."""
    if missing:
        yield error(
            "kinds", f"this server has no {some(missing)}", "upgrade it, or turn it on there"
        )
    if lacking:
        text = some(dict.fromkeys(map(str, lacking)), 8)
        hint = "let an administrator install it"
        yield error(_CHECK, f"you may not {text}", hint)
    else:
        yield ok(_CHECK, "you may make all that is installed")


async def _is_allowed(client: Client, right: Right) -> bool:
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.plural,
        "namespace": right.namespace,
        "name": right.name,
    }
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    body: Mapping[str, Any] = {**kind, "spec": {"resourceAttributes": attributes}}
    path = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = await plain.call(client, "POST", path, body=body)
    return bool(answer["status"].get("allowed"))
