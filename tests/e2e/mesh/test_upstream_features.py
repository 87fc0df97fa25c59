"""How the egress connects to what is outside, as an ExternalService says it."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.mesh.saying import external
from tests.e2e.mesh.spaces import Space
from tests.outside.calling import tls_secret
from tests.outside.control import Outside

from outgate.resources.native.tls import CIPHERS

pytestmark = [pytest.mark.root, pytest.mark.envoy]


MANY = [{"address": f"{each}.many.test"} for each in "abc"]


def over_tls(**tls: Any) -> dict[str, Any]:
    return {"port": 80, "targetPort": 443, "protocol": "HTTP", "name": "http", "tls": tls}


def who(space: Space, host: str, count: int, *flags: str) -> Counter[str]:
    """Count who answered; what failed has no name."""
    answers = [space.call(f"http://{host}/", *flags) for _ in range(count)]
    return Counter(each.json()["server"] if each.status == 200 else "" for each in answers)


def until(holds: Any, seconds: float = 45) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_tls_is_opened_for_plain_http(space: Space, outside: Outside) -> None:
    outside.open("web")
    space.apply(external("echo.test", ports=[over_tls()]))
    said = space.call("http://echo.test/").json()
    assert said["scheme"] == "https"


def test_a_client_certificate_from_a_secret(space: Space, outside: Outside) -> None:
    outside.open("mtls")
    space.apply(external("mtls.test", ports=[over_tls()]))
    assert space.call("http://mtls.test/").status == 503
    tls = {"clientCertificate": {"secretRef": {"name": "client"}}}
    # The Secret is not there yet, then it is another's, then ours.
    space.apply(external("mtls.test", ports=[over_tls(**tls)]))
    assert space.call("http://mtls.test/").status == 503
    other = outside.server_certificate("other.test")
    space.apply(tls_secret("client", other))
    assert space.call("http://mtls.test/").status == 503
    pair = outside.client_certificate("outgate")
    space.apply(tls_secret("client", pair))
    until(lambda: space.call("http://mtls.test/").status == 200)
    assert "outgate" in space.call("http://mtls.test/").body


def test_priorities(space: Space, outside: Outside) -> None:
    outside.open("many-a", "many-b")
    ends = [{"address": "a.many.test"}, {"address": "b.many.test", "priority": 1}]
    space.apply(external("many.test", endpoints=ends))
    until(lambda: who(space, "many.test", 4) == {"many-a": 4})
    outside.internet.pause("many-a")
    until(lambda: who(space, "many.test", 4) == {"many-b": 4})
    outside.internet.resume("many-a")
    until(lambda: who(space, "many.test", 4) == {"many-a": 4})


def test_outliers(space: Space, outside: Outside) -> None:
    outside.open("many-a", "many-b", "many-c")
    detection = {
        "consecutiveErrors": 2,
        "interval": "1s",
        "ejectionTime": "2s",
        "maxEjectionPercent": 50,
    }
    space.apply(external("many.test", endpoints=MANY, outlierDetection=detection))
    until(lambda: len(who(space, "many.test", 9)) == 3)
    outside.behave("many-b", status=500)
    until(lambda: set(statuses(space, 9)) == {200})
    outside.behave("many-b")
    until(lambda: len(who(space, "many.test", 9)) == 3)


def statuses(space: Space, count: int) -> Counter[int]:
    return Counter(space.call("http://many.test/").status for _ in range(count))


def test_health_checks(space: Space, outside: Outside) -> None:
    outside.open("many-a", "many-b", "many-c")
    check = {
        "type": "HTTP",
        "path": "/healthz",
        "interval": "1s",
        "timeout": "1s",
        "unhealthyThreshold": 1,
    }
    space.apply(external("many.test", endpoints=MANY, healthCheck=check))
    until(lambda: len(who(space, "many.test", 9)) == 3)
    outside.behave("many-c", status=503, path="/healthz")
    until(lambda: set(who(space, "many.test", 9)) == {"many-a", "many-b"})
    outside.behave("many-c")


def test_circuit_breakers(space: Space, outside: Outside) -> None:
    outside.open("many-a")
    breaker = {"maxConnections": 1, "maxPendingRequests": 1}
    space.apply(external("a.many.test", circuitBreaker=breaker))
    outside.behave("many-a", delay=1)
    answers: list[Any] = []

    def call() -> None:
        answers.append(space.call("http://a.many.test/"))

    threads = [threading.Thread(target=call) for _ in range(6)]
    for each in (*threads,):
        each.start()
    for each in threads:
        each.join()
    outside.behave("many-a")
    found = Counter(each.status for each in answers)
    assert found[503] >= 2
    assert found[200] >= 1
    line = space.mesh.log(lambda each: "UO" in str(each.get("flags", each)))
    assert "many.test" in str(line)


def test_a_ring_keeps_to_one_endpoint_for_one_key(space: Space, outside: Outside) -> None:
    outside.open("many-a", "many-b", "many-c")
    ring = {"algorithm": "RingHash", "hashOn": [{"header": "x-user"}]}
    space.apply(external("many.test", endpoints=MANY, loadBalancing=ring))
    chosen = [who(space, "many.test", 3, "-H", f"x-user: {user}") for user in range(6)]
    assert all(len(each) == 1 for each in chosen)
    assert len({name for each in chosen for name in each}) > 1


def test_one_destination_stands_in_for_another(space: Space, outside: Outside) -> None:
    outside.open("many-a", "many-b")
    backend = {"host": "a.many.test", "port": 80, "failover": [{"host": "b.many.test", "port": 80}]}
    space.apply(
        external("a.many.test"),
        external("b.many.test"),
        external("many.test", rules=[{"backends": [backend]}]),
    )
    until(lambda: who(space, "many.test", 4) == {"many-a": 4})
    outside.internet.pause("many-a")
    until(lambda: who(space, "many.test", 4) == {"many-b": 4})
    outside.internet.resume("many-a")


def test_wildcards_over_tls_are_verified_for_the_name_that_was_asked_for(
    space: Space, outside: Outside
) -> None:
    outside.open("wild")
    space.apply(external("*.wild.test", ports=[over_tls()]))
    for name in ("a.wild.test", "b.wild.test"):
        said = space.call(f"http://{name}/")
        assert said.status == 200, said
        assert said.json()["scheme"] == "https"
        assert name in str(said.seen["host"])
    assert space.call("http://odd.wild.test/").status == 503


def test_a_proxy_on_the_way(space: Space, outside: Outside) -> None:
    outside.open("web", "proxy")
    proxy = {"type": "HTTP", "address": "proxy.test", "port": 3128}
    since = len(outside.internet.canary())
    space.apply(external("echo.test", ports=[over_tls()], proxy=proxy))
    assert space.call("http://echo.test/").json()["scheme"] == "https"
    passed = [each for each in outside.internet.canary()[since:] if each.get("kind") == "proxied"]
    assert "echo.test:443" in str(passed)


def test_socks_is_refused_in_so_many_words(space: Space) -> None:
    proxy = {"type": "SOCKS5", "address": "proxy.test", "port": 1080}
    said = space.apply(external("echo.test", ports=[over_tls()], proxy=proxy), status=1)
    assert "spec.proxy.type" in said
    assert "SOCKS5" in said
    assert "HTTP" in said


def test_whom_tls_believes(space: Space, outside: Outside) -> None:
    """Names, a CA of its own, versions, and nobody's word at all: each as the resource says."""
    outside.open("web")
    ca, other = outside.internet.ca_file, outside.server_certificate("elsewhere.test").certificate

    def status(**tls: Any) -> int:
        space.apply(external("echo.test", ports=[over_tls(**tls)]))
        found: list[int] = []

        def settled() -> bool:
            found.append(space.call("http://echo.test/").status)
            return found[-2:-1] == found[-1:]

        until(settled)
        return found[-1]

    assert status(subjectAltNames=["else.test"]) == 503
    assert status(subjectAltNames=["else.test"], insecureSkipVerify=True) == 200
    assert status(ca={"file": str(other)}) == 503
    assert status(ca={"file": str(ca)}) == 200
    assert status(minVersion="1.3") == 200
    assert status(maxVersion="1.2", ciphers=["ECDHE-ECDSA-AES128-GCM-SHA256"]) == 200


def test_a_wildcard_has_a_ca_of_its_own(space: Space, outside: Outside) -> None:
    outside.open("wild")
    other = outside.server_certificate("elsewhere.test").certificate

    def status(host: str, ca: Path) -> int:
        space.apply(external("*.wild.test", ports=[over_tls(ca={"file": str(ca)})]))
        return space.call(f"http://{host}/").status

    assert status("a.wild.test", outside.internet.ca_file) == 200
    assert status("odd.wild.test", outside.internet.ca_file) == 503
    until(lambda: status("a.wild.test", other) == 503)


def test_envoy_takes_all_that_may_be_written(space: Space) -> None:
    """`apply` fails where Envoy refuses something: a cipher that it does not know, or gRPC where there is no HTTP/2."""
    for cipher in CIPHERS:
        space.apply(external("echo.test", ports=[over_tls(ciphers=[cipher])]))
    plain: dict[str, Any] = {"port": 443, "protocol": "HTTP"}
    spoken: tuple[dict[str, Any], ...] = (
        {"tls": {}},
        *({"protocol": each} for each in ("HTTPS", "HTTP2", "GRPC")),
    )
    for each in spoken:
        space.apply(external("echo.test", ports=[plain | each], healthCheck={"type": "GRPC"}))


def test_tls_is_opened_for_plain_tcp(space: Space, outside: Outside) -> None:
    outside.open("tls-echo", "tls-banner")
    ports = [
        {"name": "echo", "port": 7779, "protocol": "TCP", "tls": {}},
        {"name": "banner", "port": 7780, "protocol": "TCP", "tls": {}},
    ]
    space.apply(external("tls.test", ports=ports))
    assert space.tcp("tls.test", 7779, "hello")["received"] == ["hello"]
    greeting = "220 tls.test ready\r\n"
    assert space.tcp("tls.test", 7780, greeting=len(greeting))["received"] == [greeting]


@pytest.fixture
def server() -> Iterator[tuple[int, list[Any]]]:
    """A port of this machine's loopback, and who came."""
    came: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, address = listening.accept()
                except OSError:
                    return
                came.append(address)
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1], came
        listening.shutdown(socket.SHUT_RDWR)


def test_private_ranges_are_open_to_the_resource_that_names_them(
    space: Space, outside: Outside, server: tuple[int, list[Any]]
) -> None:
    port, came = server
    for name in ("inside.test", "rebound.test"):
        outside.internet.set_record(name, "A", ["127.0.0.1"])
    space.apply(
        external("inside.test", ports=[f"HTTP:{port}"], privateRanges=["127.0.0.0/8"]),
        external("rebound.test", ports=[f"HTTP:{port}"]),
    )
    assert space.call(f"http://inside.test:{port}/").status == 204
    assert space.call(f"http://rebound.test:{port}/").status == 503
    assert len(came) == 1
    # An address that is written out is named.
    space.apply(
        external(
            "rebound.test",
            ports=[f"HTTP:{port}"],
            resolution="Static",
            endpoints=[{"address": "127.0.0.1"}],
        )
    )
    assert space.call(f"http://rebound.test:{port}/").status == 204
    space.apply(external("inside.test", ports=[f"HTTP:{port}"]))
    assert space.call(f"http://inside.test:{port}/").status == 503
