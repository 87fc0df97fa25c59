"""Address ranges as flags and annotations write them."""

import ipaddress

from outgate.errors import UsageError
from outgate.model.workloads import Network


def parse_ranges(text: str, flag: str) -> tuple[Network, ...]:
    """Read comma-separated CIDRs; empty or `*` means everything, which is an empty tuple.

    Host bits may be set (`10.0.0.1/24` is 10.0.0.0/24); a plain address is a range of one. UsageError names the flag.
    """
    found: list[Network] = []
    for part in (each.strip() for each in text.split(",")):
        if not part or part == "*":
            continue
        try:
            network = ipaddress.ip_network(part, strict=False)
        except ValueError as error:
            hint = "write CIDRs such as 10.0.0.0/24,2001:db8::/32"
            raise UsageError(f"{flag}: {part!r} is not an IP range: {error}", hint=hint) from error
        if network not in found:
            found.append(network)
    return tuple(found)
