"""Secret and trusted bytes as resources that an egress Envoy fetches by name, so that new ones take effect at once.

Without I/O: who reads Secrets and files tells what they hold. What is not held is not served: calls that need it fail.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from outgate.model.assembling import Assembly, Change
from outgate.model.declarations import Declarations
from outgate.model.materials import Use, Wanted, of_destination, of_policies
from outgate.model.names import Name
from outgate.traffic.references import ConfigMapKey, FileKey, Material, SecretKey
from outgate.xds import naming, secrets
from outgate.xds.egress import Delta, Key
from outgate.xds.snapshot import Resource


@dataclass(slots=True)
class Vault:
    """What is held, and who wants it; owners are any keys. It says nothing of what it holds, not even by its repr."""

    _held: dict[Material, bytes] = field(default_factory=dict, repr=False)
    _closed: dict[Material, str] = field(default_factory=dict)
    """What may not be read, and why."""
    _wanted: dict[Any, frozenset[Wanted]] = field(default_factory=dict)
    _owners: dict[Wanted, set[Any]] = field(default_factory=dict)
    _served: dict[Wanted, Resource] = field(default_factory=dict, repr=False)
    _flaws: dict[Wanted, str] = field(default_factory=dict)
    _touched: set[Wanted] = field(default_factory=set)
    judged: set[Any] = field(default_factory=set)
    """Owners for whom what is wrong became different; who reads it empties it."""

    def want(self, owner: Any, wanted: Iterable[Wanted]) -> None:
        """Take in all that an owner wants now."""
        now = frozenset(wanted)
        before = self._wanted.pop(owner, frozenset())
        for each in before - now:
            self._owners[each].discard(owner)
            if not self._owners[each]:
                del self._owners[each]
                self._touched.add(each)
        for each in now - before:
            self._touched.add(each)
            self._owners.setdefault(each, set()).add(owner)
        if now:
            self._wanted[owner] = now

    def follow(self, change: Change, assembly: Assembly) -> None:
        """Take in what destinations, by name, and the policies of a namespace want after a change."""
        for name in change.removed:
            self.want(name, ())
        for each in change.changed:
            self.want(each.name, of_destination(each))
        for namespace in change.policies:
            self.want(namespace, of_policies(assembly.policies(namespace)))

    def hold(self, changes: Iterable[tuple[Material, bytes | None]]) -> None:
        """Take in what Secrets and files hold now (None: there is none)."""
        changed: set[Material] = set()
        for material, value in changes:
            if value == self._held.get(material) and material not in self._closed:
                continue
            self._closed.pop(material, None)
            changed.add(material)
            if value is None:
                self._held.pop(material, None)
            else:
                self._held[material] = value
        self._touched |= {each for each in self._owners if changed & {*each.parts}}

    def close(self, reasons: Mapping[Material, str]) -> None:
        """Take in what may not be read, and why: what was held goes on being served."""
        fresh = {each for each, reason in reasons.items() if self._closed.get(each) != reason}
        self._closed.update(reasons)
        self._touched |= {each for each in self._owners if fresh & {*each.parts}}

    def delta(self) -> Delta:
        """Return which resources changed since this was asked for, and which are gone."""
        changed: list[Resource] = []
        removed: list[Key] = []
        for each in sorted(self._touched, key=name_of):
            before = self._served.pop(each, None)
            flaw = self._flaws.pop(each, None)
            made = self._made(each) if each in self._owners else None
            if self._flaws.get(each) != flaw:
                self.judged |= self._owners.get(each, set())
            if made is not None:
                self._served[each] = made
                if made != before:
                    changed.append(made)
            elif before is not None:
                removed.append((before.type_url, before.name))
        self._touched.clear()
        return Delta(tuple(changed), tuple(removed))

    def materials(self) -> set[Material]:
        """Return all that anybody wants."""
        return {part for each in self._owners for part in each.parts}

    def problems(self) -> Iterator[tuple[Any, str]]:
        """Yield each owner that does not get what it wants, and why."""
        for wanted, flaw in self._flaws.items():
            for owner in self._owners.get(wanted, ()):
                yield owner, flaw

    def lacking(self, declared: Declarations) -> list[str]:
        """Return what is wrong with what a resource wants."""
        names = {each.name for each in declared.destinations}
        # What is attached to a destination is told where that is declared; policies of a namespace want each its own.
        found = [said for owner, said in self.problems() if owner in names]
        wanted = of_policies(declared.policies)
        return found + [self._flaws[each] for each in wanted if each in self._flaws]

    def all_lacking(self, assembly: Assembly) -> Iterator[tuple[Declarations, str]]:
        """Yield all that is wrong, with the resources that want it."""
        if self._flaws:
            owners = {owner for owner, _ in self.problems()}
            for declared in concerned(assembly, owners):
                for said in self.lacking(declared):
                    yield declared, said

    def _made(self, wanted: Wanted) -> Resource | None:
        missing = [each for each in wanted.parts if each not in self._held]
        if missing:
            said = f"there is no {describe(missing[0])}"
            if missing[0] in self._closed:
                said = f"{describe(missing[0])} cannot be had, as {self._closed[missing[0]]}"
            self._flaws[wanted] = f"{said}: calls that need it fail"
            return _nothing(wanted)
        held = [self._held[each] for each in wanted.parts]
        if flaw := _CHECKS[wanted.use](*held):
            self._flaws[wanted] = f"{describe(wanted.material)} {flaw}: calls that need it fail"
            return _nothing(wanted)
        return _resource(wanted, held)


def concerned(assembly: Assembly, owners: Set[Name | str]) -> Iterator[Declarations]:
    """Yield the resources as which some owners want: destinations by name, policies by namespace."""
    for declared in assembly.declared.values():
        names = {each.name for each in declared.destinations}
        if not owners.isdisjoint(names | {each.namespace for each in declared.policies}):
            yield declared


def describe(material: Material) -> str:
    """Say where bytes come from: `entry tls.crt of Secret NAME in namespace NS`, or `file PATH`."""
    match material:
        case FileKey():
            return f"file {material.path}"
        case SecretKey():
            kind = "Secret"
        case ConfigMapKey():
            kind = "ConfigMap"
    return f"entry {material.key} of {kind} {material.name} in namespace {material.namespace}"


def name_of(wanted: Wanted) -> str:
    """Return the name by which clusters refer to it."""
    match wanted.use:
        case Use.TRUST:
            return naming.trusted(wanted.material)
        case Use.CLIENT:
            return naming.client_certificate(wanted.material, wanted.key or wanted.material)
        case Use.TEXT:
            return naming.text(wanted.material, wanted.prefix)


def _nothing(wanted: Wanted) -> Resource | None:
    """Return what is served instead: Envoy would go on with a text that is merely gone, and refuses an empty one."""
    return secrets.text(name_of(wanted), b"") if wanted.use is Use.TEXT else None


def _resource(wanted: Wanted, held: list[bytes]) -> Resource:
    name = name_of(wanted)
    match wanted.use:
        case Use.TRUST:
            return secrets.trust(name, held[0])
        case Use.CLIENT:
            return secrets.certificate(name, held[0], held[-1])
        case Use.TEXT:
            return secrets.text(name, wanted.prefix.encode() + _text(held[0]))


def _text(value: bytes) -> bytes:
    """Return what an editor or `echo` wrote without its line break."""
    return value.removesuffix(b"\n").removesuffix(b"\r")


def _check_text(value: bytes) -> str:
    text = _text(value)
    if not text:
        return "is empty"
    # RFC 9110, section 5.5: visible characters, and spaces between them.
    if any(each < 0x20 or each == 0x7F for each in text) or text != text.strip():
        return "cannot be the value of a header: it has line breaks, or spaces around it"
    return ""


def _check_trust(value: bytes) -> str:
    try:
        x509.load_pem_x509_certificates(value)
    except ValueError:
        return "has no certificates in PEM"
    return ""


def _check_client(certificate: bytes, key: bytes) -> str:
    try:
        leaf, *_ = x509.load_pem_x509_certificates(certificate)
    except ValueError:
        return "has no certificate in PEM"
    try:
        loaded: PrivateKeyTypes = load_pem_private_key(key, None)
    except (ValueError, TypeError):
        return "has a key that is no private key in PEM without a password"
    return (
        "" if loaded.public_key() == leaf.public_key() else "is for another key than the one given"
    )


_CHECKS: dict[Use, Callable[..., str]] = {
    Use.TRUST: _check_trust,
    Use.CLIENT: _check_client,
    Use.TEXT: _check_text,
}
