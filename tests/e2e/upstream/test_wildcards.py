"""Wildcards: the name that was asked for is resolved, sent as SNI, and verified."""

import asyncio
import ssl
from typing import Any

import pytest
from google.protobuf import json_format
from tests.e2e.upstream.conftest import WILD, external, manager

from outgate.internet.zone import Zone
from outgate.traffic.references import Protocol
from outgate.traffic.upstream import Balancing, Endpoint, Tls, Upstream
from outgate.xds import dynamic
from outgate.xds.building import typed

pytestmark = [pytest.mark.envoy, pytest.mark.root]


def cache(egress: Any, service: Any) -> Any:
    config = dynamic.cache(service, service.ports[0], egress.outside)
    return json_format.MessageToDict(config, preserving_proto_field_name=True)


async def http(egress: Any, service: Any) -> int:
    filtered = typed(
        "extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
        dns_cache_config=cache(egress, service),
    )
    name = "envoy.filters.http.dynamic_forward_proxy"
    return int(await egress.listen(manager({"name": name, "typed_config": filtered})))


async def passing(egress: Any, service: Any, number: int) -> int:
    sni = typed(
        "extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig",
        dns_cache_config=cache(egress, service),
        port_value=number,
    )
    proxy = typed("extensions.filters.network.tcp_proxy.v3.TcpProxy", stat_prefix="t", cluster=WILD)
    inspector = {
        "name": "envoy.filters.listener.tls_inspector",
        "typed_config": typed("extensions.filters.listener.tls_inspector.v3.TlsInspector"),
    }
    filters = [
        {"name": "envoy.filters.network.sni_dynamic_forward_proxy", "typed_config": sni},
        {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy},
    ]
    return int(await egress.listen(*filters, listener_filters=[inspector]))


async def test_http_goes_to_the_name_in_the_call(egress: Any, place: Any, zone: Zone) -> None:
    a = await place("a").open()
    b = await place("b", ip="127.0.0.2", port=a.port).open()
    zone.set("a.example.com", "A", ["127.0.0.1"], 60)
    zone.set("b.c.example.com", "A", ["127.0.0.2"], 60)
    service = external(Upstream(), Protocol.HTTP, WILD)
    await egress.program(service)
    port = await http(egress, service)
    for name, expected in (("a", a), ("b.c", b), ("a", a)):
        host = f"{name}.example.com:{a.port}"
        assert (await egress.get(WILD, host=host, port=port)).body == expected.name
        assert f"host: {host}\r\n" in expected.requests[-1]
    answer = await egress.get(WILD, host=f"none.example.com:{a.port}", port=port)
    assert answer.status == 503


async def test_tls_is_verified_for_the_name_in_the_call(
    egress: Any, place: Any, zone: Zone, authority: Any
) -> None:
    context = authority.server("a.example.com")
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    a = await place("a").open(context)
    for name in ("a", "b"):
        zone.set(f"{name}.example.com", "A", ["127.0.0.1"], 60)
    service = external(Upstream(), Protocol.HTTPS, WILD, 443)
    await egress.program(service)
    port = await http(egress, service)
    good = await egress.get(WILD, host=f"a.example.com:{a.port}", port=port)
    assert good.body == "a"
    # The same server, under a name that it has no certificate for.
    bad = await egress.get(WILD, host=f"b.example.com:{a.port}", port=port)
    assert bad.status == 503
    assert asked == ["a.example.com", "b.example.com"]
    assert len(a.requests) == 1


async def test_a_name_that_is_said_is_the_one_that_is_verified(
    egress: Any, place: Any, zone: Zone, authority: Any
) -> None:
    a = await place("a").open(authority.server("front.example.com"))
    zone.set("a.example.com", "A", ["127.0.0.1"], 60)
    for tls, status in (
        (Tls(names=("front.example.com",)), 200),
        (Tls(names=("back.example.com",)), 503),
        (Tls(sni="front.example.com"), 503),
        (Tls(verify=False), 200),
    ):
        service = external(Upstream(tls=tls), Protocol.HTTPS, WILD, 443)
        await egress.program(service)
        port = await http(egress, service)
        answer = await egress.get(WILD, host=f"a.example.com:{a.port}", port=port)
        assert answer.status == status, tls


async def test_endpoints_that_are_written_out_serve_all_names(
    egress: Any, place: Any, authority: Any
) -> None:
    a = await place("a").open(authority.server("*.example.com"))
    said = Upstream(endpoints=(Endpoint("127.0.0.1", a.port),))
    await egress.program(external(said, Protocol.HTTPS, WILD, 443))
    assert (await egress.get(WILD, host="x.example.com")).body == "a"
    assert (await egress.get(WILD, host="x.example.org")).status == 503


async def test_tls_of_the_application_goes_where_its_sni_says(
    egress: Any, place: Any, zone: Zone, authority: Any
) -> None:
    a = await place("a").open(authority.server("a.example.com"))
    zone.set("a.example.com", "A", ["127.0.0.1"], 60)
    service = external(Upstream(), Protocol.TLS, WILD, 443)
    await egress.program(service)
    port = await passing(egress, service, a.port)
    context = ssl.create_default_context(cafile=authority.file)
    _, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="a.example.com"
    )
    assert writer.get_extra_info("peercert")["subjectAltName"] == (("DNS", "a.example.com"),)
    writer.close()
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="none.example.com"
        )


async def test_a_name_with_several_addresses_is_several_endpoints_where_one_may_be_bad(
    egress: Any, place: Any, zone: Zone
) -> None:
    a = await place("a").open()
    b = await place("b", ip="127.0.0.2", port=a.port).open()
    zone.set("s.example.com", "A", ["127.0.0.1", "127.0.0.2"], 60)
    said = Upstream(balancing=Balancing())
    await egress.program(external(said, target=a.port))
    assert {(await egress.get()).body for _ in range(4)} == {a.name, b.name}
    await egress.program(external(Upstream(), target=a.port))
    assert len({(await egress.get()).body for _ in range(6)}) == 1
