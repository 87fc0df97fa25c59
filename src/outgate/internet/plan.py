"""What there is in the small internet: addresses, names and servers, computed from its index.

All addresses are from the ranges for documentation (RFC 5737, RFC 3849), which no real host has.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType

COUNT = 16
"""How many small internets there can be on one machine."""
TTL = 1
"""Seconds that the initial DNS records are valid: short, for tests that change them."""
PREFIX = "ogi-"
"""What the names of network interfaces on the host begin with."""

_RANGE4 = IPv4Network("198.51.100.0/24")
_RANGE6 = IPv6Network("2001:db8:6f67::/48")

# Hosts, by the last part of their addresses.
_HOST, _DNS, _HTTPBIN, _GOOGLE, _TCP, _BANNER, _EXPIRED, _SELF_SIGNED, _WRONG_NAME = range(1, 10)
_TWO, _DEAD, _V6ONLY, _CANARY, _UNUSED = range(10, 15)

Records = Mapping[tuple[str, str], tuple[str, ...]]
"""Values by name and record type, as in a zone file: `("httpbin.org", "A"): ("198.51.100.3",)`."""


class Protocol(enum.StrEnum):
    """What a server speaks."""

    DNS = "dns"
    HTTPBIN = "httpbin"
    PAGE = "page"
    """A web page that says which Host and SNI it was asked with."""
    TCP_ECHO = "tcp-echo"
    TCP_BANNER = "tcp-banner"
    """Speaks first, then echoes."""
    UDP_ECHO = "udp-echo"


class Certificate(enum.StrEnum):
    """What certificate is shown; of a server's, all but `TRUSTED` are refused by whoever verifies."""

    TRUSTED = "trusted"
    EXPIRED = "expired"
    SELF_SIGNED = "self-signed"
    WRONG_NAME = "wrong-name"
    CLIENT = "client"
    """What a client shows to a server that wants to know who it is."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server on one port of some addresses, called `name` in records and to pause it.

    With a `certificate` it speaks TLS as `host`.
    """

    name: str
    protocol: Protocol
    addresses: tuple[str, ...]
    port: int
    host: str = ""
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The small internet number `index` (0 to 15), with or without IPv6."""

    index: int
    ipv6: bool = True

    @property
    def interface(self) -> str:
        """The network interface on the host by which it is reached."""
        return f"{PREFIX}{self.index}"

    @property
    def inner_interface(self) -> str:
        """The other end of it, in the namespace of the servers."""
        return f"{PREFIX}{self.index}p"

    @property
    def network4(self) -> IPv4Network:
        """The range of all its IPv4 addresses, a /28."""
        return IPv4Network((int(_RANGE4.network_address) + 16 * self.index, 28))

    @property
    def network6(self) -> IPv6Network:
        """The range of all its IPv6 addresses, a /64."""
        return IPv6Network((int(_RANGE6.network_address) + (self.index << 64), 64))

    @property
    def host_addresses(self) -> tuple[str, ...]:
        """The addresses of the host's end, with prefix length."""
        return self._interface_addresses(_HOST)

    @property
    def server_addresses(self) -> tuple[str, ...]:
        """All addresses of the servers, with prefix length; also that of the dead one."""
        return tuple(
            address
            for number in range(_DNS, _UNUSED)
            for address in self._interface_addresses(number)
        )

    @property
    def resolver(self) -> str:
        """The IPv4 address of the DNS server."""
        return self._v4(_DNS)

    @property
    def unused(self) -> str:
        """An IPv4 address in the range that nobody has: nothing answers, not even a refusal."""
        return self._v4(_UNUSED)

    def servers(self) -> tuple[Server, ...]:
        """Return all servers."""
        httpbin = (*self._both(_HTTPBIN), *self._both(_TWO), *self._both(_V6ONLY)[1:])
        wrong = (
            ("expired", "expired.test", _EXPIRED, Certificate.EXPIRED),
            ("self-signed", "self-signed.test", _SELF_SIGNED, Certificate.SELF_SIGNED),
            ("wrong-name", "wrong-name.test", _WRONG_NAME, Certificate.WRONG_NAME),
        )
        good = (
            ("httpbin-tls", "httpbin.org", _HTTPBIN, Protocol.HTTPBIN),
            ("google", "www.google.com", _GOOGLE, Protocol.PAGE),
        )
        return (
            Server("dns", Protocol.DNS, self._both(_DNS), 53),
            Server("httpbin", Protocol.HTTPBIN, httpbin, 80),
            *(
                Server(name, protocol, self._both(number), 443, host, Certificate.TRUSTED)
                for name, host, number, protocol in good
            ),
            *(
                Server(name, Protocol.PAGE, self._both(number), 443, host, certificate)
                for name, host, number, certificate in wrong
            ),
            Server("echo", Protocol.TCP_ECHO, self._both(_TCP), 7777),
            Server("banner", Protocol.TCP_BANNER, self._both(_BANNER), 7778),
            Server("canary-tcp", Protocol.TCP_ECHO, self._both(_CANARY), 9999),
            Server("canary-udp", Protocol.UDP_ECHO, self._both(_CANARY), 9999),
        )

    def records(self) -> Records:
        """Return the DNS records that there are at first; every other name does not exist."""
        hosts = {
            "httpbin.org": (_HTTPBIN,),
            "www.httpbin.org": (_HTTPBIN,),
            "www.google.com": (_GOOGLE,),
            "tcp.test": (_TCP,),
            "banner.test": (_BANNER,),
            "expired.test": (_EXPIRED,),
            "self-signed.test": (_SELF_SIGNED,),
            "wrong-name.test": (_WRONG_NAME,),
            "canary.test": (_CANARY,),
            "two.test": (_DEAD, _TWO),
        }
        records: dict[tuple[str, str], tuple[str, ...]] = {
            # What a rebinding attack makes a public name point to.
            ("private.test", "A"): ("10.0.0.1",),
            ("private.test", "AAAA"): ("fd00::1",),
            ("metadata.test", "A"): ("169.254.169.254",),
            ("metadata.test", "AAAA"): ("fd00:ec2::254",),
        }
        for name, numbers in hosts.items():
            records[name, "A"] = tuple(self._v4(number) for number in numbers)
            if self.ipv6:
                records[name, "AAAA"] = tuple(self._v6(number) for number in numbers)
        if self.ipv6:
            records["v6only.test", "AAAA"] = (self._v6(_V6ONLY),)
        return MappingProxyType(records)

    def _v4(self, number: int) -> str:
        return str(self.network4[number])

    def _v6(self, number: int) -> str:
        return str(self.network6[number])

    def _both(self, number: int) -> tuple[str, ...]:
        return (self._v4(number), self._v6(number)) if self.ipv6 else (self._v4(number),)

    def _interface_addresses(self, number: int) -> tuple[str, ...]:
        lengths = (self.network4.prefixlen, self.network6.prefixlen)
        return tuple(
            f"{address}/{length}"
            for address, length in zip(self._both(number), lengths, strict=False)
        )
