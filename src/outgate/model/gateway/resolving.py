"""Where references lead, and why some of them lead nowhere: in the specification's reasons."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from outgate.model.destinations import Port
from outgate.model.gateway.known import Known, Place
from outgate.resources.gateway.references import Object, Parent, Reference
from outgate.resources.gateway.routes import Route, Rule
from outgate.traffic.references import Protocol, Target

HTTP_KINDS = ("GRPCRoute", "HTTPRoute")


class Reason(enum.StrEnum):
    """Reasons of conditions, as the Gateway API names them."""

    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    PROGRAMMED = "Programmed"
    PENDING = "Pending"
    INVALID = "Invalid"
    NO_MATCHING_PARENT = "NoMatchingParent"
    NOT_ALLOWED_BY_LISTENERS = "NotAllowedByListeners"
    NO_MATCHING_LISTENER_HOSTNAME = "NoMatchingListenerHostname"
    CONFLICTED = "Conflicted"
    UNSUPPORTED_VALUE = "UnsupportedValue"
    BACKEND_NOT_FOUND = "BackendNotFound"
    REF_NOT_PERMITTED = "RefNotPermitted"
    INVALID_KIND = "InvalidKind"
    UNSUPPORTED_PROTOCOL = "UnsupportedProtocol"
    TARGET_NOT_FOUND = "TargetNotFound"
    NO_VALID_CA_CERTIFICATE = "NoValidCACertificate"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a reference does not lead anywhere; `path` is the field."""

    reason: Reason
    message: str
    path: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A parent that a route is attached to, and by which of its ports."""

    place: Place
    ports: tuple[int, ...]


def kind_of(route: Route) -> str:
    """Return a route's kind."""
    return type(route).__name__


def attach(route: Route, parent: Parent, known: Known) -> Attachment | Refusal | None:
    """Say what a route is attached to by one of its parents; None where that is none of our business."""
    meant = parent.object
    if known.is_for_others(meant):
        return None
    place = known.place(meant)
    if place is None:
        return Refusal(Reason.NO_MATCHING_PARENT, known.missing(meant), parent.path)
    if meant.kind == "XBackend" and meant.namespace != route.metadata.namespace:
        message = f"{meant} can be called from its own namespace only, where the route must be"
        return Refusal(Reason.NOT_ALLOWED_BY_LISTENERS, message, parent.path)
    return _attach(route, parent, place)


def _attach(route: Route, parent: Parent, place: Place) -> Attachment | Refusal:
    meant = parent.object
    ports = [port for port in place.ports if _is_meant(port, parent, place)]
    if not ports:
        message = f"{meant} has no port {parent.section or parent.port}"
        return Refusal(Reason.NO_MATCHING_PARENT, message, parent.path)
    kind = kind_of(route)
    if kind not in HTTP_KINDS and meant.namespace != route.metadata.namespace:
        message = f"a {kind} holds for all callers: it must be in the namespace of {meant}"
        return Refusal(Reason.NOT_ALLOWED_BY_LISTENERS, message, parent.path)
    fitting = tuple(port.number for port in ports if _fits(kind, port.protocol))
    if not fitting:
        spoken = ports[0].protocol.value.upper()
        message = f"port {ports[0].number} of {meant} speaks {spoken}, which a {kind} is not for"
        return Refusal(Reason.NOT_ALLOWED_BY_LISTENERS, message, parent.path)
    if kind == "TLSRoute" and meant.kind == "XBackend" and not _named(route, place.host):
        message = f"none of spec.hostnames is {place.host}, which applications call"
        return Refusal(Reason.NO_MATCHING_LISTENER_HOSTNAME, message, parent.path)
    return Attachment(place, fitting)


def _is_meant(port: Port, parent: Parent, place: Place) -> bool:
    main = place.main in (0, port.number) or port.target == place.main
    if parent.port and parent.port != port.number and not (parent.port == place.main and main):
        return False
    return not parent.section or port.name == parent.section or _name_of(place) == parent.section


def _name_of(place: Place) -> str | None:
    """Return the name of the one port that an XBackend has."""
    names = (port.name for port in place.ports if place.main == port.number)
    return next(names, None)


def _fits(kind: str, protocol: Protocol) -> bool:
    return (kind in HTTP_KINDS) == protocol.is_http


def _named(route: Route, host: str) -> bool:
    parts = host.partition(".")
    return not route.hostnames or any(
        each == host or each == f"*.{parts[2]}" or (each[:2] == "*." and host.endswith(each[1:]))
        for each in route.hostnames
    )


def resolve(route: Route, reference: Reference, known: Known) -> Target | Refusal:
    """Return what a backend of a route is to the mesh."""
    meant, path = reference.object, reference.path
    kind, namespace = kind_of(route), route.metadata.namespace
    if not meant.is_callable:
        message = (
            f"{meant.kind} of {meant.group or 'v1'} cannot be a backend: Service and XBackend can"
        )
        return Refusal(Reason.INVALID_KIND, message, path)
    # A Service that is a parent may be called from there anyhow: a consumer's route may lead back to it. Not so another
    # namespace's XBackend, which no route of this one is attached to.
    is_parent = meant.kind != "XBackend" and any(each.object == meant for each in route.parents)
    if not is_parent and not known.allows(kind, namespace, meant):
        message = f"namespace {meant.namespace} has no ReferenceGrant for {kind}s of {namespace} to {meant}"
        return Refusal(Reason.REF_NOT_PERMITTED, message, path)
    place = known.place(meant)
    if place is None:
        return Refusal(Reason.BACKEND_NOT_FOUND, known.missing(meant), path)
    number = reference.port or place.main
    port = next((each for each in place.ports if each.number == number), None)
    if port is None:
        return Refusal(Reason.BACKEND_NOT_FOUND, f"{meant} has no port {number}", path)
    if not _fits(kind, port.protocol):
        spoken = port.protocol.value.upper()
        message = f"port {number} of {meant} speaks {spoken}, which a {kind} is not for"
        return Refusal(Reason.UNSUPPORTED_PROTOCOL, message, path)
    return Target(place.name.namespace, place.name.name, number, granted=True)


def references(rules: Iterable[Rule]) -> list[Reference]:
    """Return all that rules lead to, as written."""
    found: list[Reference] = []
    for rule in rules:
        found += [each.reference for each in rule.backends]
        found += [each.reference for each in rule.mirrors]
    return found


def objects(route: Route) -> set[Object]:
    """Return all objects that a route speaks of."""
    parents = {each.object for each in route.parents}
    return parents | {each.object for each in references(route.rules)}
