"""References to other objects, as the Gateway API writes them: to parents, to backends, to what a policy is for."""

from collections.abc import Callable
from dataclasses import dataclass

from outgate.resources.checks import Checker
from outgate.resources.gateway.reading import GROUP, X_GROUP, Fields, port, required
from outgate.resources.names import Flaw, dns_label, dns_subdomain
from outgate.resources.paths import child, item

MOST_WEIGHT = 1_000_000

SERVICE, XBACKEND = ("", "Service"), (X_GROUP, "XBackend")
"""Group and kind of what can be called."""
CALLABLE = (SERVICE, XBACKEND)

PARENT_FIELDS = frozenset(("group", "kind", "namespace", "name", "sectionName", "port"))
_OBJECT = ("group", "kind", "name", "namespace", "port")
BACKEND_FIELDS = frozenset((*_OBJECT, "weight"))
TARGET_FIELDS = frozenset(("group", "kind", "name", "sectionName"))


@dataclass(frozen=True, slots=True, order=True)
class Object:
    """Which object is meant; the namespace is written out."""

    group: str
    kind: str
    namespace: str
    name: str

    @property
    def is_callable(self) -> bool:
        """Whether it is of a kind that can be called."""
        return (self.group, self.kind) in CALLABLE

    def __str__(self) -> str:
        """Render for messages: `Service default/db`."""
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Parent:
    """What a route is attached to; `port` 0 and an empty `section` are all ports. `path` is the field.

    `written` is the reference word for word, by which a status names it.
    """

    object: Object
    path: str
    section: str = ""
    port: int = 0
    written: tuple[tuple[str, str | int], ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A backend; `port` 0 where none is given."""

    object: Object
    path: str
    port: int = 0
    weight: int = 1


@dataclass(frozen=True, slots=True)
class PolicyTarget:
    """What a policy is for: an object of its own namespace, or one port of it."""

    object: Object
    path: str
    section: str = ""


def parents(check: Checker, spec: Fields, namespace: str) -> tuple[Parent, ...]:
    """Read `spec.parentRefs`; `namespace` is the route's own."""
    found = []
    for index, entry in check.items(spec, "spec", "parentRefs"):
        path = item("spec.parentRefs", index)
        check.unknown_fields(entry, path, PARENT_FIELDS)
        section = check.string(entry, path, "sectionName") or ""
        number = port(check, entry, path) or 0
        if (meant := _object(check, entry, path, namespace, (GROUP, "Gateway"))) is not None:
            written = tuple((key, entry[key]) for key in sorted(PARENT_FIELDS & entry.keys()))
            found.append(Parent(meant, path, section, number, written))
    return tuple(found)


def backend(
    check: Checker, entry: Fields, path: str, namespace: str, more: tuple[str, ...] = ()
) -> Reference | None:
    """Read a backend with its weight; `more` are fields that the caller reads."""
    check.unknown_fields(entry, path, BACKEND_FIELDS | frozenset(more))
    weight = entry.get("weight")
    if type(weight) is not int and weight is not None:
        check.error(child(path, "weight"), "must be a whole number")
        weight = None
    if weight is not None and not 0 <= weight <= MOST_WEIGHT:
        check.error(child(path, "weight"), f"{weight} is out of range: 0 to {MOST_WEIGHT}")
    number = port(check, entry, path) or 0
    meant = _object(check, entry, path, namespace, SERVICE)
    if meant is None:
        return None
    if (meant.group, meant.kind) == SERVICE and entry.get("port") is None:
        check.error(child(path, "port"), "is required for a Service")
    return Reference(meant, path, number, 1 if weight is None else weight)


def mirrored(check: Checker, entry: Fields, path: str, namespace: str) -> Reference | None:
    """Read a backend without a weight."""
    check.unknown_fields(entry, path, _OBJECT)
    return backend(check, {**entry, "weight": None}, path, namespace)


def policy_targets(check: Checker, spec: Fields, namespace: str) -> tuple[PolicyTarget, ...]:
    """Read `spec.targetRefs` of a policy."""
    found = []
    for index, entry in check.items(spec, "spec", "targetRefs"):
        path = item("spec.targetRefs", index)
        check.unknown_fields(entry, path, TARGET_FIELDS)
        section = check.string(entry, path, "sectionName") or ""
        for key in ("group", "kind"):
            if entry.get(key) is None:
                check.error(child(path, key), "is required", 'kind: Service, group: ""')
        if (meant := _object(check, entry, path, namespace, SERVICE)) is not None:
            found.append(PolicyTarget(meant, path, section))
    return tuple(found)


def local(
    check: Checker, entry: Fields, path: str, namespace: str, default: tuple[str, str]
) -> Object | None:
    """Read a reference to a Secret or a ConfigMap; it may say its own namespace."""
    check.unknown_fields(entry, path, ("group", "kind", "name", "namespace"))
    return _object(check, entry, path, namespace, default)


def _object(
    check: Checker, entry: Fields, path: str, namespace: str, default: tuple[str, str]
) -> Object | None:
    group, kind = (check.string(entry, path, key) for key in ("group", "kind"))
    name = required(check, entry, path, "name")
    space = check.string(entry, path, "namespace") or namespace
    _rule(check, child(path, "namespace"), space, dns_label)
    if name is None or _rule(check, child(path, "name"), name, dns_subdomain):
        return None
    return Object(default[0] if group is None else group, kind or default[1], space, name)


def _rule(check: Checker, path: str, text: str, rule: Callable[[str], Flaw | None]) -> bool:
    return check.flaw(path, rule(text))
