"""TLS that the egress opens: whom it believes, as whom it shows itself, and how."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.upstream.authorities import Authority
from tests.e2e.upstream.conftest import HOST, external

from outgate.traffic.references import FileKey, Material, Protocol, SecretKey
from outgate.traffic.upstream import Endpoint, Health, Probe, Tls, Upstream
from outgate.xds import naming, secrets

pytestmark = pytest.mark.envoy

CERTIFICATE, KEY = SecretKey("ns", "client", "tls.crt"), SecretKey("ns", "client", "tls.key")
CA = FileKey("/etc/partner.pem")


def to(place: Any, tls: Tls | None = None, **fields: Any) -> Upstream:
    return Upstream(endpoints=(Endpoint(place.ip, place.port),), tls=tls, **fields)


async def call(egress: Any, said: Upstream, protocol: Protocol = Protocol.HTTPS) -> Any:
    await egress.program(external(said, protocol))
    return await egress.get()


async def give(egress: Any, pair: tuple[Path, Path]) -> None:
    chain, key = (each.read_bytes() for each in pair)
    name = naming.client_certificate(CERTIFICATE, KEY)
    await egress.publish(secrets.certificate(name, chain, key))


async def trust(egress: Any, ca: Material, authority: Authority) -> None:
    await egress.publish(secrets.trust(naming.trusted(ca), authority.file.read_bytes()))


async def test_the_hosts_name_is_asked_for_and_verified(
    egress: Any, place: Any, authority: Authority
) -> None:
    good = await place("good").open(authority.server(HOST))
    assert (await call(egress, to(good))).body == "good"
    wrong = await place("wrong").open(authority.server("other.example.com"))
    answer = await call(egress, to(wrong))
    assert answer.status == 503
    assert not wrong.requests


@pytest.mark.parametrize(
    "name", ["other.example.com", "127.0.0.9", "spiffe://partner/api", "*.example.org"]
)
async def test_a_resource_may_name_whom_it_expects(
    egress: Any, place: Any, authority: Authority, name: str
) -> None:
    found = await place("found").open(authority.server(name))
    asked = name.replace("*", "a")
    assert (await call(egress, to(found, Tls(names=("x.example.com", asked))))).body == "found"
    assert (await call(egress, to(found, Tls(names=("x.example.com",))))).status == 503


async def test_another_sni(egress: Any, place: Any, authority: Authority) -> None:
    context = authority.server(HOST)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    found = await place("found").open(context)
    await call(egress, to(found))
    await call(egress, to(found, Tls(sni="front.example.com")))
    assert asked == [HOST, "front.example.com"]


async def test_a_ca_of_its_own_replaces_the_others(
    egress: Any, place: Any, authority: Authority, folder: Path
) -> None:
    partner = Authority(folder, "partner")
    await trust(egress, CA, partner)
    theirs = await place("theirs").open(partner.server(HOST))
    assert (await call(egress, to(theirs))).status == 503
    assert (await call(egress, to(theirs, Tls(ca=CA)))).body == "theirs"
    public = await place("public").open(authority.server(HOST))
    assert (await call(egress, to(public, Tls(ca=CA)))).status == 503
    # It is renewed where it is.
    await trust(egress, CA, authority)
    await egress.until(lambda answer: answer.body == "public")


async def test_verification_can_be_switched_off(egress: Any, place: Any, folder: Path) -> None:
    nobody = await place("nobody").open(Authority(folder, "nobody").server("nobody"))
    assert (await call(egress, to(nobody, Tls(verify=False)))).body == "nobody"


async def test_a_client_certificate(
    egress: Any, place: Any, authority: Authority, folder: Path
) -> None:
    clients = Authority(folder, "clients")
    found = await place("found").open(authority.server(HOST, clients))
    tls = Tls(certificate=CERTIFICATE, key=KEY)
    # None at all, one that the server does not know, the right one: each without a word but the secret.
    assert (await call(egress, to(found))).status == 503
    await give(egress, authority.issue("stranger"))
    assert (await call(egress, to(found, tls))).status == 503
    await give(egress, clients.issue("outgate"))
    await egress.until(lambda answer: answer.body == "found")
    (subject,) = found.peers[-1][0]["subject"]
    assert subject == (("commonName", "outgate"),)


async def test_while_a_secret_is_missing_calls_fail_and_others_go_on(
    egress: Any, place: Any, authority: Authority, folder: Path
) -> None:
    clients = Authority(folder, "clients")
    found = await place("found").open(authority.server(HOST, clients))
    other = await place("other").open(authority.server("other.example.com"))
    tls = Tls(certificate=CERTIFICATE, key=KEY)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await egress.program(
        external(to(found, tls), Protocol.HTTPS),
        external(to(other), Protocol.HTTPS, "other.example.com"),
    )
    assert loop.time() - began < 5
    assert (await egress.get()).status == 503
    assert (await egress.get("other.example.com", host="other.example.com")).body == "other"
    await give(egress, clients.issue("outgate"))
    await egress.until(lambda answer: answer.body == "found")


@pytest.mark.parametrize(
    ("tls", "version"),
    [(Tls(), "TLSv1.3"), (Tls(maximum="1.2"), "TLSv1.2"), (Tls(minimum="1.3"), "TLSv1.3")],
)
async def test_versions(
    egress: Any, place: Any, authority: Authority, tls: Tls, version: str
) -> None:
    found = await place("found").open(authority.server(HOST))
    assert (await call(egress, to(found, tls))).body == "found"
    assert found.peers[-1][1] == version


async def test_a_server_that_is_too_old_is_not_called(
    egress: Any, place: Any, authority: Authority
) -> None:
    context = authority.server(HOST)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    found = await place("found").open(context)
    assert (await call(egress, to(found))).body == "found"
    assert (await call(egress, to(found, Tls(minimum="1.3")))).status == 503


async def test_ciphers(egress: Any, place: Any, authority: Authority) -> None:
    found = await place("found").open(authority.server(HOST))
    cipher = "ECDHE-ECDSA-CHACHA20-POLY1305"
    assert (await call(egress, to(found, Tls(maximum="1.2", ciphers=(cipher,))))).body == "found"
    assert found.peers[-1][2][0] == cipher


async def test_over_plain_tcp_and_http(egress: Any, place: Any, authority: Authority) -> None:
    found = await place("found").open(authority.server(HOST))
    await egress.program(external(to(found, Tls()), Protocol.TCP))
    port = await egress.tcp(HOST)
    assert (await egress.get(port=port)).body == "found"
    assert (await call(egress, to(found, Tls()), Protocol.HTTP)).body == "found"


async def test_what_the_application_encrypted_is_left_alone(
    egress: Any, place: Any, authority: Authority
) -> None:
    found = await place("found").open(authority.server(HOST))
    await egress.program(external(to(found, Tls()), Protocol.TLS))
    port = await egress.tcp(HOST)
    context = ssl.create_default_context(cafile=authority.file)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)
    assert writer.get_extra_info("peercert")["subjectAltName"] == (("DNS", HOST),)
    writer.close()


async def test_health_is_asked_for_over_tls(egress: Any, place: Any, authority: Authority) -> None:
    good = await place("good").open(authority.server(HOST))
    wrong = await place("wrong").open(authority.server("other.example.com"))
    ends = tuple(Endpoint(each.ip, each.port) for each in (good, wrong))
    health = Health(Probe.HTTP, interval=0.1, timeout=0.5, unhealthy=1)
    await egress.program(external(Upstream(endpoints=ends, health=health), Protocol.HTTPS))
    assert {(await egress.get()).body for _ in range(6)} == {"good"}
