"""Rules for the host names of external services, where an address or a wildcard must not slip in.

An address would get around name based policy and certificate checks, in whichever spelling the C
library's `inet_aton` accepts it: `127.1`, `0x7f.1` and `2130706433` are all 127.0.0.1.
"""

import ipaddress
import re

from outgate.resources.names import LABEL_LENGTH, NAME_LENGTH, Flaw, dns_subdomain
from outgate.resources.paths import quote
from outgate.resources.problems import Severity

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Debian's and Red Hat's /etc/hosts name the loopback addresses so.
_LOOPBACK = frozenset(
    (
        "localhost",
        "localhost.localdomain",
        "localhost4",
        "localhost6",
        "ip6-localhost",
        "ip6-loopback",
        "localhost4.localdomain4",
        "localhost6.localdomain6",
    )
)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
# Longer ones are refused too, as names that end in a number.
_LONGEST_NUMBER = 32
_URL = re.compile(r"(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//)?+(?:[^/?#@]*@)?([^/?#:@]+)")
_PORT = re.compile(r"([^:]+):[0-9]+")


def address(text: str) -> Address | None:
    """Read the IP address that `text` is some spelling of, if it is one."""
    try:
        return ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return _aton(text)


def hostname(value: str) -> Flaw | None:
    """Check a DNS name in lower case, without final dot, that is no address; None if it is valid.

    Limits are DNS's (RFC 1035, section 2.3.4): 63 characters a label, 253 in all.
    """
    if found := address(value):
        spelling = "" if str(found) == value else f" ({found})"
        message = f"{quote(value)} is an IP address{spelling}, not a DNS name"
        return Flaw(message, "give the DNS name of the service")
    if "*" in value:
        return Flaw(f"{quote(value)} is a wildcard, not a DNS name", "name one host")
    if flaw := dns_subdomain(value):
        return Flaw(flaw.message, _nearest(value))
    labels = value.split(".")
    if long := next((label for label in labels if len(label) > LABEL_LENGTH), None):
        return Flaw(
            f"the label {quote(long)} is {len(long)} characters long, "
            f"at most {LABEL_LENGTH} are allowed between dots"
        )
    if _NUMBER.fullmatch(labels[-1]):
        return Flaw(
            f"{quote(value)} ends in a number, as only IP addresses do: "
            "the last label of a DNS name has a letter"
        )
    return None


def external_name(value: str, suffix: str = "cluster.local") -> tuple[str, Flaw | None]:
    """Give the host that an ExternalName Service stands for, without final dot, and its flaw.

    `suffix` is the DNS suffix of the mesh's own Services: an external name below it gets a warning.
    """
    host = value.removesuffix(".")
    if flaw := hostname(host):
        return host, flaw
    if host in _LOOPBACK or host.endswith(".localhost"):
        message = f"{quote(value)} is the loopback interface, which would be the egress itself"
        return host, Flaw(message, "give the DNS name of the service")
    if host.endswith((".svc", f".{suffix}")):
        message = f"{quote(value)} is a name inside the cluster, which egress does not resolve"
        return host, Flaw(message, "call that Service by its own name", Severity.WARNING)
    return host, None


def _nearest(value: str) -> str:
    """Say what was probably meant: the host of a URL, without the port, lower case, punycode."""
    if len(value) > NAME_LENGTH:
        return ""
    if "/" in value or "@" in value:
        host = _URL.match(value)
        known = host is not None and dns_subdomain(host[1].lower()) is None
        return "write only the host name" + (f": {host[1].lower()}" if host and known else "")
    if _PORT.fullmatch(value):
        return "write the port in spec.ports"
    if dns_subdomain(value.lower()) is None:
        return f"write it in lower case: {value.lower()}"
    try:
        return "" if value.isascii() else f"write it in ASCII: {value.encode('idna').decode()}"
    except UnicodeError:
        return ""


def _aton(text: str) -> ipaddress.IPv4Address | None:
    """Read one to four decimal, octal or hexadecimal numbers; the last fills what is left."""
    parts = text.split(".")
    if not 1 <= len(parts) <= 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    numbers = [_number(part) for part in parts]
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    value = sum(number << (24 - 8 * index) for index, number in enumerate(first)) + last
    return ipaddress.IPv4Address(value)


def _number(part: str) -> int:
    digits = part.lower()
    if len(digits) > _LONGEST_NUMBER:
        return 2**32
    if digits.startswith("0x"):
        return int(digits[2:] or "0", 16)
    octal = digits.startswith("0") and not re.search("[89]", digits)
    return int(digits, 8 if octal else 10)
