"""Whose declaration of a host counts for whom: no caller is ever led by another namespace where its own declares it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from outgate.model.destinations import External
from outgate.model.names import Name


@dataclass(frozen=True, slots=True)
class Callers:
    """Callers of some namespaces; `others`: of all but those."""

    namespaces: frozenset[str] = frozenset()
    others: bool = True

    @property
    def everyone(self) -> bool:
        """Whether nobody is left out."""
        return self.others and not self.namespaces

    def among(self, known: Iterable[str]) -> frozenset[str]:
        """Return those namespaces, of the ones that are known where it is all others'."""
        return frozenset(known) - self.namespaces if self.others else self.namespaces


EVERYONE = Callers()
Own = tuple[External, Callers]
"""What is declared by itself below a wildcard, and whose calls to it go there."""


def rank(destination: External) -> tuple[bool, str, str, str, str]:
    """Return what orders declarations of one host that a caller sees besides its own: the lower one counts."""
    kind, _, name = destination.source.partition("/")
    wild = destination.of_wildcard
    return wild, destination.created, kind, destination.name.namespace, name


def divide(declared: Iterable[External]) -> tuple[tuple[External, Callers], ...]:
    """Divide the callers of one host among those that declare it; one that nobody is left for is not in the answer."""
    ranked = sorted(declared, key=rank)
    mentioned = {each.name.namespace for each in ranked}.union(
        *(each.visible or () for each in ranked)
    )
    won: dict[int, set[str]] = {}
    for namespace in mentioned:
        own = (each for each in ranked if each.name.namespace == namespace)
        seen = (each for each in ranked if each.seen_from(namespace))
        if (winner := next(own, None) or next(seen, None)) is not None:
            won.setdefault(id(winner), set()).add(namespace)
    general = next((each for each in ranked if each.visible is None), None)
    divided = []
    for each in ranked:
        mine = frozenset(won.get(id(each), ()))
        if each is general:
            divided.append((each, Callers(frozenset(mentioned - mine))))
        elif mine:
            divided.append((each, Callers(mine, others=False)))
    return tuple(divided)


def covers(wildcard: str, host: str) -> bool:
    """Whether a wildcard stands for a host, or for all that another wildcard does: at any depth, as in DNS."""
    return wildcard.startswith("*.") and host != wildcard and host.endswith(wildcard[1:])


def expanded(host: str, declared: Iterable[External]) -> tuple[External, ...]:
    """Return what wildcards among `declared` say of a host: one for each namespace, of its longest one.

    DNS answers a host that anybody declares by its own address, and there these namespaces must find theirs.
    """
    longest: dict[str, External] = {}
    for each in declared:
        if covers(each.name.name, host):
            held = longest.get(each.name.namespace)
            if held is None or len(held.name.name) < len(each.name.name):
                longest[each.name.namespace] = each
    return tuple(
        replace(longest[namespace], name=Name(namespace, host), host=host, of_wildcard=True)
        for namespace in sorted(longest)
    )
