"""What the small internet loads: hosts that only tests want. Each server is started when it is resumed.

| server | hosts | ports | what |
|---|---|---|---|
| web | echo.test, ws.test | 80, 443 (TLS) | says what it was asked; WebSocket at /ws (`web`) |
| h2 | h2.test | 80, 443 (TLS) | says so too, with HTTP/2, also without TLS (`http2`) |
| grpc | grpc.test | 50051, 50052 (TLS) | gRPC (`rpc`) |
| mtls | mtls.test | 443 (TLS) | only with a client certificate; says whose |
| mtls-echo | mtls.test | 7781 (TLS) | the same without HTTP: greets with whose it is, then echoes |
| many-a, many-b, many-c | a.many.test ..., many.test (all) | 80 | say who they are; fail or are slow when told to |
| wild | *.wild.test | 80, 443 (TLS) | says what it was asked; odd.wild.test has a certificate for another name |
| tls-echo, tls-banner | tls.test | 7779, 7780 (TLS) | echo; the second speaks first |
| proxy, socks | proxy.test | 3128 (HTTP), 1080 (SOCKS5) | forward proxies |

They share the addresses of hosts that the small internet has anyway, on ports that those do not use.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from tests.outside.loop import Loop, bound
from tests.outside.tls import echo, server_context
from tests.outside.web import Manners, Web

from outgate.internet.plan import TTL, Certificate, Plan
from outgate.internet.services import Closable, Context, Extension

_SHARED = {
    "echo.test": "tcp.test",
    "ws.test": "tcp.test",
    "tls.test": "tcp.test",
    "h2.test": "banner.test",
    "grpc.test": "banner.test",
    "mtls.test": "two.test",
    "a.many.test": "expired.test",
    "b.many.test": "self-signed.test",
    "c.many.test": "wrong-name.test",
    "*.wild.test": "",
    "odd.wild.test": "",
    "proxy.test": "",
}
"""Whose addresses a host has; "": those of the DNS server."""

Opener = Callable[[], tuple[Closable, ...]]


def extend(plan: Plan, context: Context) -> Extension:
    """Add the names, and return how the servers are started."""
    outside = _Outside(plan, context)
    outside.add_names()
    return Extension(
        servers=outside.servers(),
        commands={"behave": outside.behave, "issue": outside.issue},
    )


class _Outside:
    def __init__(self, plan: Plan, context: Context) -> None:
        self._context = context
        self._loop = Loop(context.zone)
        self._records = plan.records()
        dns = next(each for each in plan.servers() if each.name == "dns")
        self._dns = dns.addresses
        self._webs = {
            name: Web(self._loop, context, name)
            for name in ("web", "mtls", "many-a", "many-b", "many-c", "wild")
        }

    def add_names(self) -> None:
        names = {host: self._addresses(host) for host in _SHARED}
        names["many.test"] = sum((names[f"{each}.many.test"] for each in "abc"), start=())
        for host, addresses in names.items():
            for kind, is_one in (("A", "."), ("AAAA", ":")):
                if chosen := [each for each in addresses if is_one in each]:
                    self._context.zone.set(host, kind, chosen, TTL)

    def servers(self) -> dict[str, Opener]:
        many: dict[str, Opener] = {
            f"many-{each}": lambda each=each: self._web(f"many-{each}", f"{each}.many.test")  # type: ignore[misc]
            for each in "abc"
        }
        return many | {
            "web": lambda: self._web("web", "echo.test", ("echo.test", "ws.test")),
            "wild": lambda: self._web("wild", "*.wild.test", ("*.wild.test", "!odd.wild.test")),
            "mtls": self._mtls,
            "mtls-echo": lambda: self._tls("mtls-echo", "mtls.test", 7781, None),
            "tls-echo": lambda: self._tls("tls-echo", "tls.test", 7779, b""),
            "tls-banner": lambda: self._tls("tls-banner", "tls.test", 7780, b"220 tls.test ready\r\n"),
            "h2": self._http2,
            "grpc": self._rpc,
            "proxy": lambda: self._proxy("proxy", "http", 3128),
            "socks": lambda: self._proxy("socks", "socks5", 1080),
        }  # fmt: skip

    def behave(self, arguments: Mapping[str, Any]) -> None:
        """Change a web server's manners."""
        known = {each.name for each in dataclasses.fields(Manners)} | {"server"}
        if wrong := arguments.keys() - known:
            raise ValueError(f"no such manners: {', '.join(sorted(wrong))}")
        name = arguments["server"]
        if name not in self._webs:
            raise ValueError(f"no manners has {name!r}; those have {', '.join(self._webs)}")
        said = {key: value for key, value in arguments.items() if key != "server"}
        self._webs[name].manners = Manners(**said)

    def issue(self, arguments: Mapping[str, Any]) -> None:
        """Write NAME.pem and NAME.key, of the kind that is said (see `Certificate`)."""
        self._context.authority.issue(arguments["name"], Certificate(arguments["kind"]))

    def _addresses(self, host: str) -> tuple[str, ...]:
        shared = _SHARED[host]
        if not shared:
            return self._dns
        # The first of two is the one that is dead.
        found = (self._records.get((shared, kind), ())[-1:] for kind in ("A", "AAAA"))
        return tuple(each for one in found for each in one)

    def _web(self, name: str, host: str, tls_hosts: tuple[str, ...] = ()) -> tuple[Closable, ...]:
        listening = [(bound(each, 80), None) for each in self._addresses(host)]
        if not tls_hosts:
            return (self._webs[name].open(*listening),)
        tls = server_context(self._context, name, tls_hosts)
        secure = [(bound(each, 443), tls) for each in self._addresses(host)]
        return (self._webs[name].open(*listening, *secure),)

    def _mtls(self) -> tuple[Closable, ...]:
        tls = server_context(self._context, "mtls", ("mtls.test",), client_certificates=True)
        listening = [(bound(each, 443), tls) for each in self._addresses("mtls.test")]
        return (self._webs["mtls"].open(*listening),)

    def _tls(self, name: str, host: str, port: int, greeting: bytes | None) -> tuple[Closable, ...]:
        tls = server_context(self._context, name, (host,), client_certificates=greeting is None)
        return tuple(
            echo(self._loop, self._context, name, bound(each, port), tls, greeting)
            for each in self._addresses(host)
        )

    def _http2(self) -> tuple[Closable, ...]:
        from tests.outside.http2 import open_http2

        tls = server_context(self._context, "h2", ("h2.test",), alpn=("h2", "http/1.1"))
        return tuple(
            open_http2(self._loop, self._context, "h2", (bound(each, 80), bound(each, 443)), tls)
            for each in self._addresses("h2.test")
        )

    def _rpc(self) -> tuple[Closable, ...]:
        from tests.outside.rpc import open_rpc

        pair = self._context.authority.issue("grpc.test", Certificate.TRUSTED)
        hosts = [f"[{each}]" if ":" in each else each for each in self._addresses("grpc.test")]
        plain, secure = ([f"{host}:{port}" for host in hosts] for port in (50051, 50052))
        return (open_rpc(self._context, "grpc", plain, secure, pair),)

    def _proxy(self, name: str, scheme: str, port: int) -> tuple[Closable, ...]:
        from tests.outside.proxies import open_proxy

        hosts = [f"[{each}]" if ":" in each else each for each in self._addresses("proxy.test")]
        return tuple(
            open_proxy(self._loop, self._context, name, scheme, f"{host}:{port}") for host in hosts
        )
