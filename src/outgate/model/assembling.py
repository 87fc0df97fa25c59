"""All resources together: which destinations there are, with what is attached to each, and what is in conflict.

Without I/O. A change costs what it touches: the destinations that a resource declares, those it is attached to, and
those whose rules lead to one of these.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from outgate.model import checking
from outgate.model.attaching import (
    aimed,
    attachments,
    rules,
    targets,
    tuned_ports,
)
from outgate.model.declarations import Declarations, Source
from outgate.model.destinations import Destination, External, Peer, is_inside
from outgate.model.names import Name
from outgate.resources.problems import Problem
from outgate.traffic.permitting import Policy
from outgate.traffic.references import Target
from outgate.traffic.routing import Rule


@dataclass(frozen=True, slots=True)
class Change:
    """What has become of destinations; `policies` are the namespaces whose policies have changed."""

    changed: tuple[Destination, ...] = ()
    removed: tuple[Name, ...] = ()
    policies: frozenset[str] = frozenset()


@dataclass(slots=True)
class Assembly:
    """What resources declare, by resource and by what they speak of.

    Indexes are by slot: a Service's name, or a host's without a namespace, as several namespaces may declare one.
    """

    domain: str = "cluster.local"
    """The domain of names inside."""
    declared: dict[Source, Declarations] = field(default_factory=dict)
    effective: dict[Name, Destination] = field(default_factory=dict)
    found: dict[Source, tuple[Problem, ...]] = field(default_factory=dict)
    """What is wrong with a resource because of the others."""
    checked: set[Source] = field(default_factory=set)
    """Those for whom `found` was looked at anew with the last update."""
    _claims: dict[Name, dict[Source, Destination]] = field(default_factory=dict)
    _in_slot: dict[Name, set[Name]] = field(default_factory=dict)
    _attached: dict[Name, set[Source]] = field(default_factory=dict)
    """Resources with a routing or a tuning."""
    _leading: dict[Name, set[Name]] = field(default_factory=dict)
    """Destinations with a rule that leads there."""
    _targets: dict[Name, tuple[Target, ...]] = field(default_factory=dict)
    """What a destination's rules lead to, as they say it."""
    _policies: dict[str, dict[Source, tuple[Policy, ...]]] = field(default_factory=dict)

    def update(self, changes: Iterable[tuple[Source, Declarations | None]]) -> Change:
        """Take in resources as they are now (None: gone)."""
        slots: set[Name] = set()
        names: set[Name] = set()
        namespaces: set[str] = set()
        for source, new in changes:
            old = self.declared.get(source)
            if old == new:
                continue
            for each in filter(None, (old, new)):
                names |= {one.name for one in each.destinations}
                slots |= {_slot(one.target) for one in attachments(each)}
                namespaces |= {policy.namespace for policy in each.policies}
            self._forget(source, old)
            self._note(source, new)
        slots |= {_slot(name) for name in names}
        for slot in slots:
            names |= self._in_slot.get(slot, set()) | self._leading.get(slot, set())
        self._check(slots)
        return self._derive(names, frozenset(namespaces))

    def policies(self, namespace: str) -> tuple[Policy, ...]:
        """Return the policies of a namespace, by name."""
        held = self._policies.get(namespace, {}).values()
        return tuple(sorted((each for several in held for each in several), key=lambda p: p.name))

    def find(self, target: Name, namespace: str) -> Destination | None:
        """Return the destination that a name means to a resource of a namespace, if it may see it.

        Its own namespace's before one from elsewhere, then the older, then by resource.
        """
        names = (target,) if target.namespace else self._in_slot.get(_slot(target), ())
        winners = (self.winner(name) for name in names)
        seen = [each for each in winners if each is not None and _sees(namespace, each)]
        return min(seen, key=lambda each: _preference(each, namespace), default=None)

    def _forget(self, source: Source, old: Declarations | None) -> None:
        self.found.pop(source, None)
        if old is None:
            return
        del self.declared[source]
        for each in old.destinations:
            claims = self._claims[each.name]
            claims.pop(source, None)
            if not claims:
                del self._claims[each.name]
                _drop(self._in_slot, _slot(each.name), each.name)
        for attachment in attachments(old):
            _drop(self._attached, _slot(attachment.target), source)
        for policy in old.policies:
            self._policies[policy.namespace].pop(source, None)

    def _note(self, source: Source, new: Declarations | None) -> None:
        if new is None:
            return
        self.declared[source] = new
        for each in new.destinations:
            self._claims.setdefault(each.name, {})[source] = each
            self._in_slot.setdefault(_slot(each.name), set()).add(each.name)
        for attachment in attachments(new):
            self._attached.setdefault(_slot(attachment.target), set()).add(source)
        for policy in new.policies:
            held = self._policies.setdefault(policy.namespace, {})
            held[source] = (*held.get(source, ()), policy)

    def ranked(self, name: Name) -> list[Source]:
        """Return who declares a destination, whoever counts first."""
        return sorted(self._claims.get(name, ()), key=lambda source: self.declared[source].rank)

    def winner(self, name: Name) -> Destination | None:
        """Return the declaration of a destination that counts."""
        if "." in name.name and is_inside(name.name, self.domain):
            # DNS would answer for it in every pod: the cluster's own names are nobody's to declare.
            return None
        ranked = self.ranked(name)
        return self._claims[name][ranked[0]] if ranked else None

    def _derive(self, names: Iterable[Name], policies: frozenset[str]) -> Change:
        changed: list[Destination] = []
        removed: list[Name] = []
        winners = {name: self.winner(name) for name in names}
        # In the order in which they were made, which every replica finds: the first ones are programmed eagerly.
        for name, winner in sorted(winners.items(), key=_age):
            before = self.effective.pop(name, None)
            for target in self._targets.pop(name, ()):
                _drop(self._leading, _meant(target), name)
            if winner is None:
                if before is not None:
                    removed.append(name)
                continue
            now = self.effective[name] = self._with_attachments(winner)
            if now != before:
                changed.append(now)
        return Change(tuple(changed), tuple(removed), policies)

    def _with_attachments(self, destination: Destination) -> Destination:
        if not isinstance(destination, External):
            return destination
        attached = self._attached_to(destination)
        if not attached and not destination.rules:
            return destination
        ports = tuned_ports(destination, attached)
        every = (*rules(attached, destination), *destination.rules)
        self._targets[destination.name] = wanted = targets(every)
        for target in wanted:
            self._leading.setdefault(_meant(target), set()).add(destination.name)
        found = tuple(self._aimed(rule, destination) for rule in every)
        made = replace(destination, rules=found, ports=ports)
        return replace(made, peers=tuple(self._peers(made)))

    def _aimed(self, rule: Rule, destination: External) -> Rule:
        """Return a rule whose targets have the namespace of what they mean to whom the rule is for, or none."""
        callers = rule.callers or ()
        viewer = next(iter(callers)) if len(callers) == 1 else destination.name.namespace

        def resolve(target: Target) -> Target:
            named = Name(target.namespace, target.name)
            found = self.winner(named) if target.granted else self.find(named, viewer)
            return replace(target, namespace=found.name.namespace if found else "")

        return aimed(rule, resolve)

    def _attached_to(self, destination: External) -> list[Declarations]:
        """Return the resources with something for a destination, the oldest first."""
        slot = _slot(destination.name)
        found = [self.declared[source] for source in self._attached.get(slot, ())]
        meant = [each for each in found if self._is_meant(each, slot, destination)]
        return sorted(meant, key=lambda each: each.rank)

    def _is_meant(self, declared: Declarations, slot: Name, destination: External) -> bool:
        aimed = (each.target for each in attachments(declared) if _slot(each.target) == slot)
        found = (self.find(target, declared.source.namespace) for target in aimed)
        return any(each is not None and each.name == destination.name for each in found)

    def _peers(self, destination: External) -> Iterator[Peer]:
        """Find each target; one that names no port is one peer for each port that both have."""
        own = {port.number for port in destination.ports}
        for target in targets(destination.rules):
            found = self.winner(Name(target.namespace, target.name))
            if isinstance(found, External):
                wanted = {target.port} if target.port else own
                # Copies of its clusters are made as its own are.
                for port in tuned_ports(found, self._attached_to(found)):
                    if port.number in wanted:
                        yield Peer(target, found.name, found.host, port)

    def _check(self, slots: Iterable[Name]) -> None:
        """Note anew what is wrong with all resources that speak of some slots."""
        touched: set[Source] = set()
        for slot in slots:
            touched |= self._attached.get(slot, set())
            touched |= {each for name in self._in_slot.get(slot, ()) for each in self._claims[name]}
            for name in self._leading.get(slot, ()):
                touched |= (
                    self._attached.get(_slot(name), set()) | self._claims.get(name, {}).keys()
                )
        self.checked = touched
        for source in touched:
            declared = self.declared[source]
            self.found.pop(source, None)
            if problems := checking.problems(self, declared):
                self.found[source] = problems

    def hidden_by(self, destination: Destination) -> str:
        """Return the namespace, if any, that sees a destination, and has one of its own of the same host."""
        if not isinstance(destination, External) or not destination.is_host:
            return ""
        own = destination.name.namespace
        others = (name.namespace for name in self._in_slot.get(_slot(destination.name), ()))
        return min(
            (each for each in others if each != own and destination.seen_from(each)), default=""
        )


def _age(winner: tuple[Name, Destination | None]) -> tuple[str, Name]:
    name, destination = winner
    return destination.created if destination else "", name


_Value = TypeVar("_Value")


def _drop(index: dict[Name, set[_Value]], key: Name, value: _Value) -> None:
    held = index.get(key)
    if held is not None:
        held.discard(value)
        if not held:
            del index[key]


def _slot(name: Name) -> Name:
    return Name("", name.name) if "." in name.name else name


def _meant(target: Target) -> Name:
    return _slot(Name(target.namespace, target.name))


def _sees(namespace: str, destination: Destination) -> bool:
    return not isinstance(destination, External) or destination.seen_from(namespace)


def _preference(destination: Destination, namespace: str) -> tuple[bool, str, str, Name]:
    source = destination.source if isinstance(destination, External) else ""
    elsewhere = destination.name.namespace != namespace
    return elsewhere, destination.created, source, destination.name
