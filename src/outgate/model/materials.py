"""Which secret or trusted bytes are wanted, and for what. The bytes themselves are no part of the model."""

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outgate.model.declarations import Declarations
from outgate.model.destinations import Destination, External
from outgate.traffic.permitting import Policy
from outgate.traffic.references import FileKey, Material
from outgate.traffic.upstream import Tls


class Use(enum.StrEnum):
    """What bytes are for: certificates to trust, a client's own certificate, or text that goes into a header."""

    TRUST = "trust"
    CLIENT = "client"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One use: `key` goes with a client's certificate, `prefix` stands before a text."""

    use: Use
    material: Material
    key: Material | None = None
    prefix: str = ""

    @property
    def parts(self) -> tuple[Material, ...]:
        """All bytes that it takes."""
        return (self.material,) if self.key is None else (self.material, self.key)


def of_destination(destination: Destination) -> Iterator[Wanted]:
    """Yield what connections to a destination take."""
    if isinstance(destination, External):
        for port in destination.ports:
            if port.upstream.tls is not None:
                yield from _of_tls(port.upstream.tls)


def of_policies(policies: Iterable[Policy]) -> Iterator[Wanted]:
    """Yield what policies have put into calls."""
    for policy in policies:
        for rule in policy.rules:
            if rule.credential is not None:
                yield Wanted(Use.TEXT, rule.credential.material, prefix=rule.credential.prefix)


def files(declared: Declarations) -> list[str]:
    """Return the paths of all files that a resource names, for where there can be none."""
    upstreams = [port.upstream for each in declared.destinations for port in each.ports]
    upstreams += [each.upstream for each in declared.tunings]
    wanted = [one for each in upstreams if each.tls for one in _of_tls(each.tls)]
    wanted += of_policies(declared.policies)
    parts = (part for each in wanted for part in each.parts)
    return sorted({part.path for part in parts if isinstance(part, FileKey)})


def _of_tls(tls: Tls) -> Iterator[Wanted]:
    if tls.ca is not None:
        yield Wanted(Use.TRUST, tls.ca)
    if tls.certificate is not None and tls.key is not None:
        yield Wanted(Use.CLIENT, tls.certificate, tls.key)
