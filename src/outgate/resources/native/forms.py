"""Forms of text in the project's own kinds: hosts, addresses, headers, paths and regular expressions."""

import ipaddress
import re

from outgate.resources import hosts
from outgate.resources.names import Flaw, dns_label, dns_subdomain, label_value, qualified_name
from outgate.resources.paths import quote
from outgate.resources.problems import Severity
from outgate.resources.schemas import Form

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LABEL = "[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
_NAME = rf"{_LABEL}(\\.{_LABEL})"
_NUMERIC = r"(^|\\.)(0[xX][0-9a-fA-F]*|[0-9]+)\\.?$"
_INSIDE = r"(^|\\.)(svc|localhost|cluster\\.local|localdomain[46]?)\\.?$"
_LOOPBACK = r"(^|\\.)(localhost[46]?|ip6-localhost|ip6-loopback|localdomain[46]?)\\.?$"
_INSIDE_SAYS = "is a name inside the cluster or of the egress itself: an ExternalService is for what is outside"
_HOST_SAYS = "is not the DNS name of a host outside: write one such as api.example.com"


def _host_flaw(value: str) -> Flaw | None:
    text = value.lower()
    name = text.removeprefix("*.").removesuffix(".")
    if "*" in name:
        hint = "a wildcard is *. and a name: *.example.com"
        return Flaw(f"{quote(value)} has a * where none may be", hint)
    bare, flaw = hosts.external_name(name)
    if flaw and flaw.severity is Severity.ERROR:
        return (
            Flaw(flaw.message, "write a DNS name; an address goes into spec.endpoints")
            if hosts.address(name)
            else flaw
        )
    if "." not in bare:
        message = f"{quote(value)} has no dot, as names inside have"
        return Flaw(message, f"write the full name, such as {bare}.example.com")
    if re.search(_INSIDE.replace("\\\\", "\\"), text):
        return Flaw(f"{quote(value)} {_INSIDE_SAYS}", "give the DNS name of the service")
    return None


HOST = Form(
    _host_flaw,
    (
        (
            f"!self.matches('{_NUMERIC}')",
            "is an IP address, not a DNS name (write a DNS name; an address goes into spec.endpoints)",
        ),
        (f"self.matches('^(\\\\*\\\\.)?{_NAME}+\\\\.?$')", _HOST_SAYS),
        (f"!self.matches('{_INSIDE}')", _INSIDE_SAYS),
    ),
    make=lambda value: value.lower().removesuffix("."),
    says="DNS name with a dot, or `*.` and such a name",
)


def _place_flaw(value: str) -> Flaw | None:
    if _plain_address(value):
        return None
    return hosts.external_name(value.lower())[1]


_PLAIN_NAME = rf"^({_LABEL}\.)*[a-zA-Z]([-a-zA-Z0-9]{{0,61}}[a-zA-Z0-9])?\.?$"


def _name_flaw(value: str) -> Flaw | None:
    if flaw := hosts.hostname(value.lower().removesuffix(".")):
        return flaw
    if re.match(_PLAIN_NAME, value):
        return None
    return Flaw(f"{quote(value)} is not a DNS name: the last label begins with a letter")


NAME = Form(
    _name_flaw,
    # A pattern, as this stands in lists in lists in lists.
    pattern=_PLAIN_NAME,
    make=lambda value: value.lower().removesuffix("."),
    says="DNS name",
)


def _plain_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value


PLACE = Form(
    _place_flaw,
    (
        (
            f"isIP(self) || (self.matches('^{_NAME}*\\\\.?$') && !self.matches('{_NUMERIC}'))",
            "is neither an IP address nor a DNS name",
        ),
        (
            f"!self.matches('{_LOOPBACK}')",
            "is the loopback interface, which would be the egress itself",
        ),
    ),
    make=lambda value: value.lower().removesuffix("."),
    says="IP address or DNS name",
)


def _range_flaw(value: str) -> Flaw | None:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        try:
            meant = str(ipaddress.ip_network(value, strict=False))
        except ValueError:
            return Flaw(
                f"{quote(value)} is not an IP range",
                "write 198.51.100.0/24, 2001:db8::/32 or an address",
            )
        return (
            Flaw(f"{quote(value)} has host bits set", f"write {meant}")
            if "host bits" in str(error)
            else None
        )
    if "%" in value or (network.version == 6 and network.network_address.ipv4_mapped):
        return Flaw(
            f"{quote(value)} is not a range of plain addresses", "write IPv4 as such, and no zone"
        )
    return None


RANGE = Form(
    _range_flaw,
    (
        (
            "isIP(self) || (isCIDR(self) && cidr(self) == cidr(self).masked())",
            "is not an IP range without host bits (write 198.51.100.0/24, 2001:db8::/32 or an address)",
        ),
    ),
    longest=64,
    make=ipaddress.ip_network,
    says="IP range or address",
)


FILE = Form(
    lambda value: (
        None
        if value.startswith("/") and "\0" not in value
        else Flaw(f"{quote(value)} is not an absolute path", f"write /{value.lstrip('/')}")
    ),
    pattern="^/.+$",
    longest=1024,
    says="absolute path",
)


_LOWER = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
LABEL = Form(dns_label, pattern=f"^{_LOWER}$", longest=63, says="DNS label")
OBJECT_NAME = Form(
    dns_subdomain, pattern=rf"^{_LOWER}(\.{_LOWER})*$", longest=253, says="name of an object"
)
LABEL_KEY = Form(qualified_name, longest=317, says="key of a label")
LABEL_VALUE = Form(
    label_value,
    pattern="^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
    longest=63,
    says="value of a label",
)
SECRET_KEY = Form(
    lambda value: (
        None
        if re.fullmatch("[-._a-zA-Z0-9]+", value)
        else Flaw(f"{quote(value)} is not a key of a Secret", "for example token")
    ),
    pattern="^[-._a-zA-Z0-9]+$",
    longest=253,
    says="key of a Secret",
)
_EXPORT = "^([.*]|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$"
EXPORT = Form(
    lambda value: None if value in (".", "*") else dns_label(value),
    ((f"self.matches('{_EXPORT}')", "is neither a namespace nor . or *"),),
    longest=63,
    says="namespace, `.` (this one) or `*` (all)",
)
DESCRIPTOR = Form(
    lambda value: (
        None
        if re.fullmatch("[A-Za-z0-9_.-]+", value)
        else Flaw(f"{quote(value)} is not a key of a descriptor", "for example tier")
    ),
    longest=128,
    says="key of a descriptor",
)
