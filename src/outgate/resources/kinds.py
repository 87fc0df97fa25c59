"""Which kinds Outgate knows, and what becomes of a set of documents: typed resources and problems.

A new kind is one line in `_KINDS` and one field of `Resources`.
"""

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outgate.resources.checks import closest
from outgate.resources.documents import Document
from outgate.resources.metadata import identity
from outgate.resources.paths import quote, typed
from outgate.resources.problems import Problem, Severity
from outgate.resources.secrets import ConfigMap, Secret, parse_config_map, parse_secret
from outgate.resources.services import Service, parse_service

if TYPE_CHECKING:
    from outgate.resources.gateway.backendtlspolicies import BackendTLSPolicy
    from outgate.resources.gateway.grpcroutes import GRPCRoute
    from outgate.resources.gateway.httproutes import HTTPRoute
    from outgate.resources.gateway.referencegrants import ReferenceGrant
    from outgate.resources.gateway.tcproutes import TCPRoute
    from outgate.resources.gateway.tlsroutes import TLSRoute
    from outgate.resources.gateway.xbackends import XBackend
    from outgate.resources.istio.destination_rules import DestinationRule
    from outgate.resources.istio.service_entries import ServiceEntry
    from outgate.resources.istio.sidecars import Sidecar
    from outgate.resources.istio.virtual_services import VirtualService
    from outgate.resources.native.egress_policy import EgressPolicy
    from outgate.resources.native.external_service import ExternalService

# Run by Kubernetes' controllers and kubelets.
WORKLOADS = frozenset(
    (
        "Pod",
        "Deployment",
        "ReplicaSet",
        "ReplicationController",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "CronJob",
    )
)

Resource = Any
"""A valid resource of any kind that is used, with `metadata` and a `location`; its class is named as the kind is."""

_GROUP_VERSION = re.compile(r"(?:([^/]+)/)?([^/]+)")


@dataclass(frozen=True, slots=True)
class Resources:
    """What documents declare, each kind sorted by namespace and name, whatever their order was.

    `accepted` are the documents that these came from, in the order in which they were given, and
    `unknown` those of kinds that are not known; each of those has a warning in `problems`.
    """

    services: tuple[Service, ...]
    secrets: tuple[Secret, ...]
    config_maps: tuple[ConfigMap, ...]
    external_services: tuple["ExternalService", ...]
    egress_policies: tuple["EgressPolicy", ...]
    service_entries: tuple["ServiceEntry", ...]
    destination_rules: tuple["DestinationRule", ...]
    virtual_services: tuple["VirtualService", ...]
    sidecars: tuple["Sidecar", ...]
    xbackends: tuple["XBackend", ...]
    http_routes: tuple["HTTPRoute", ...]
    grpc_routes: tuple["GRPCRoute", ...]
    tls_routes: tuple["TLSRoute", ...]
    tcp_routes: tuple["TCPRoute", ...]
    backend_tls_policies: tuple["BackendTLSPolicy", ...]
    reference_grants: tuple["ReferenceGrant", ...]
    problems: tuple[Problem, ...]
    accepted: tuple[Document, ...]
    unknown: tuple[Document, ...]

    def every(self) -> Iterator[Resource]:
        """Return all, a kind after the other."""
        for kind in _KINDS.values():
            yield from getattr(self, kind.field)


Parse = Callable[[Document, str], tuple[Any, tuple[Problem, ...]]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """`field` of Resources holds what `parse` makes of a document and a default namespace."""

    api_version: str
    field: str
    parse: Parse
    older: tuple[str, ...] = ()
    """Other versions of the API that mean the same."""


def _later(module: str, function: str) -> Parse:
    """Return a parser that is loaded when there is something for it: most commands have none, and start at once."""

    def parse(document: Document, default_namespace: str) -> tuple[Any, tuple[Problem, ...]]:
        found: Parse = getattr(importlib.import_module(f"outgate.resources.{module}"), function)
        return found(document, default_namespace)

    return parse


_ISTIO = "networking.istio.io"


def _istio(field: str, parser: str) -> _Kind:
    preferred, *older = (f"{_ISTIO}/{version}" for version in ("v1", "v1beta1", "v1alpha3"))
    return _Kind(preferred, field, _later(f"istio.{field}", parser), tuple(older))


_GATEWAY, _GATEWAY_X = "gateway.networking.k8s.io", "gateway.networking.x-k8s.io"


def _gateway(field: str, *versions: str, group: str = _GATEWAY) -> _Kind:
    """Return a kind of the Gateway API, whose modules are named as fields are, without the underlines."""
    preferred, *older = (f"{group}/{version}" for version in versions)
    parser = (
        f"parse_{field.removesuffix('ies')}y" if field.endswith("ies") else f"parse_{field[:-1]}"
    )
    parse = _later(f"gateway.{field.replace('_', '')}", parser)
    return _Kind(preferred, field, parse, tuple(older))


_OWN_GROUP = "outgate.dev"
# By API group and kind.
_KINDS: Mapping[tuple[str, str], _Kind] = {
    ("", "Service"): _Kind("v1", "services", parse_service),
    ("", "Secret"): _Kind("v1", "secrets", parse_secret),
    ("", "ConfigMap"): _Kind("v1", "config_maps", parse_config_map),
    (_OWN_GROUP, "ExternalService"): _Kind(
        "outgate.dev/v1alpha1",
        "external_services",
        _later("native.external_service", "parse_external_service"),
    ),
    (_OWN_GROUP, "EgressPolicy"): _Kind(
        "outgate.dev/v1alpha1",
        "egress_policies",
        _later("native.egress_policy", "parse_egress_policy"),
    ),
    (_ISTIO, "ServiceEntry"): _istio("service_entries", "parse_service_entry"),
    (_ISTIO, "DestinationRule"): _istio("destination_rules", "parse_destination_rule"),
    (_ISTIO, "VirtualService"): _istio("virtual_services", "parse_virtual_service"),
    (_ISTIO, "Sidecar"): _istio("sidecars", "parse_sidecar"),
    (_GATEWAY_X, "XBackend"): _gateway("xbackends", "v1alpha1", group=_GATEWAY_X),
    (_GATEWAY, "HTTPRoute"): _gateway("http_routes", "v1", "v1beta1"),
    (_GATEWAY, "GRPCRoute"): _gateway("grpc_routes", "v1"),
    (_GATEWAY, "TLSRoute"): _gateway("tls_routes", "v1", "v1alpha3", "v1alpha2"),
    (_GATEWAY, "TCPRoute"): _gateway("tcp_routes", "v1", "v1alpha2"),
    (_GATEWAY, "BackendTLSPolicy"): _gateway("backend_tls_policies", "v1", "v1alpha3"),
    (_GATEWAY, "ReferenceGrant"): _gateway("reference_grants", "v1beta1"),
}


def declaring() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield API group, kind and versions, the preferred one first, of all kinds that are not Kubernetes' own."""
    for (group, kind), known in _KINDS.items():
        if group:
            versions = (known.api_version, *known.older)
            yield group, kind, tuple(each.rpartition("/")[2] for each in versions)


def known() -> Iterator[tuple[str, str]]:
    """Yield API group and kind of all kinds that are read."""
    yield from _KINDS


def plural(kind: str) -> str:
    """Return the plural by which the API server knows a kind: in lower case, by the rule that all of them follow."""
    lower = kind.lower()
    return f"{lower[:-1]}ies" if lower.endswith("y") else f"{lower}s"


def parse(documents: Iterable[Document], default_namespace: str = "default") -> Resources:
    """Typed resources of all `documents`; those that do not name a namespace are in the default.

    Of two documents with the same kind, namespace and name the first counts, valid or not, and the
    other is an error.
    """
    found: dict[str, list[Any]] = {kind.field: [] for kind in _KINDS.values()}
    problems: list[Problem] = []
    accepted: list[Document] = []
    unknown: list[Document] = []
    first: dict[tuple[str, str, str, str], Document] = {}
    for document in documents:
        key = _group_kind(document, problems)
        if key is None:
            continue
        kind = _KINDS.get(key)
        if kind is None:
            unknown.append(document)
            problems.append(_unknown(document, key))
            continue
        resource, wrong = kind.parse(document, default_namespace)
        problems.extend(wrong)
        name = identity(document, default_namespace)
        earlier = first.setdefault((*key, *name), document) if name else document
        if earlier is not document:
            problems.append(_duplicate(document, key[1], earlier))
        elif resource is not None:
            found[kind.field].append(resource)
            accepted.append(document)
    return Resources(
        problems=tuple(sorted(problems, key=_order)),
        accepted=tuple(accepted),
        unknown=tuple(sorted(unknown, key=lambda document: document.location)),
        **{field: tuple(sorted(values, key=_identity)) for field, values in found.items()},
    )


def _identity(resource: Any) -> tuple[str, str]:
    return resource.metadata.namespace, resource.metadata.name


def _order(problem: Problem) -> tuple[object, ...]:
    return problem.location, problem.resource, problem.path, problem.message


def _group_kind(document: Document, problems: list[Problem]) -> tuple[str, str] | None:
    """Give API group and kind; None if they are not there, which is then among `problems`."""
    values = [
        _required(document, key, example, problems)
        for key, example in (("apiVersion", "v1"), ("kind", "Service"))
    ]
    version, kind = values
    if version is None or kind is None:
        return None
    if match := _GROUP_VERSION.fullmatch(version):
        return match[1] or "", kind
    message = f"{quote(version)} is not an API version: write VERSION or GROUP/VERSION"
    problems.append(_problem(document, "apiVersion", message))
    return None


def _required(document: Document, key: str, example: str, problems: list[Problem]) -> str | None:
    value = document.value.get(key)
    if isinstance(value, str) and value:
        return value
    missing = value is None or value == ""
    message = "is required" if missing else f"must be a string, not {typed(value)}"
    problems.append(_problem(document, key, message, f"for example {key}: {example}"))
    return None


def _duplicate(document: Document, kind: str, earlier: Document) -> Problem:
    message = f"a {kind} of this name and namespace is already at {earlier.location}"
    return _problem(document, "metadata.name", message, "remove one of the two, or rename it")


def _unknown(document: Document, key: tuple[str, str]) -> Problem:
    group, kind = key
    if kind in WORKLOADS:
        message = f"Outgate does not run a {kind} on one machine"
        hint = "run its command with: outgate run -- COMMAND"
    else:
        message = f"{quote(kind)} of {group or 'v1'} is not a kind that Outgate uses"
        hint = _nearest_kind(kind)
        if group == _OWN_GROUP:
            # Nobody else's: a policy that is mistyped must not be missed.
            return _problem(document, "kind", message, hint)
        message = f"{message}: ignored"
    return _problem(document, "kind", message, hint, Severity.WARNING)


def _nearest_kind(kind: str) -> str:
    by_name = {name: known.api_version for (_, name), known in _KINDS.items()}
    meant = closest(kind, by_name)
    return f"did you mean {meant} of {by_name[meant]}?" if meant else ""


def _problem(
    document: Document,
    path: str,
    message: str,
    hint: str = "",
    severity: Severity = Severity.ERROR,
) -> Problem:
    return Problem(document.location_of(path), document.resource, path, message, hint, severity)
