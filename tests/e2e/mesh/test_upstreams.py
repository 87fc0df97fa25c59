"""Where declared names may lead: TLS is verified, and private addresses are refused whatever a name resolves to."""

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.mesh.saying import service

pytestmark = [pytest.mark.root, pytest.mark.envoy]


@pytest.mark.parametrize("name", ["expired", "self-signed", "wrong-name"])
def test_a_bad_certificate_is_refused(mesh: Any, sleep: str, name: str) -> None:
    mesh.apply(service(name, f"{name}.test", https=443))
    assert mesh.curl(sleep, f"http://{name}:443/").startswith("503")
    line = mesh.log(lambda each: each.get("service") == f"{name}.default")
    assert "CERTIFICATE_VERIFY_FAILED" in line["upstream_failure"]


def test_a_declared_name_does_not_lead_to_the_machine_itself(mesh: Any, sleep: str) -> None:
    accepted: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                connection.close()
                accepted.append(address)

        threading.Thread(target=accept, daemon=True).start()
        # The control: the server is there.
        with socket.create_connection(("127.0.0.1", number), 2):
            pass
        mesh.internet.set_record("rebound.test", "A", ["127.0.0.1"])
        mesh.apply(
            service("rebound", "rebound.test", http=number),
            service("raw", "rebound.test", tcp=number),
        )
        assert mesh.curl(sleep, f"http://rebound:{number}/").startswith("503")
        assert mesh.curl(sleep, f"http://raw:{number}/").startswith("000")
        assert len(accepted) == 1


@pytest.mark.parametrize("name", ["private", "metadata"])
def test_private_and_metadata_addresses(mesh: Any, sleep: str, name: str) -> None:
    mesh.apply(service(name, f"{name}.test", http=80))
    assert mesh.curl(sleep, f"http://{name}/").startswith("503")


def test_one_dead_address_of_two_does_not_matter(mesh: Any, sleep: str) -> None:
    mesh.apply(service("two", "two.test", http=80))
    assert mesh.curl(sleep, "http://two/status/204").startswith("204")


def test_ipv6_only(mesh: Any, sleep: str) -> None:
    mesh.apply(service("six", "v6only.test", http=80))
    assert mesh.curl(sleep, "http://six/status/204").startswith("204")


def test_straight_out_with_ranges(mesh: Any) -> None:
    forward = Path("/proc/sys/net/ipv4/ip_forward")
    before = forward.read_text()
    mesh.apply(service("externalbin", "httpbin.org", http=80))

    def curl(url: str, status: int | None = 0) -> str:
        words = ("run", "--includeIPRanges=10.0.0.1/24", "--", "curl", "-sS", "-m", "5", url)
        return str(mesh.outgate(*words, status=status))

    assert '"Host": "httpbin.org"' in curl("http://httpbin.org/headers")
    assert "outgate: denied" in curl("http://10.0.0.9/")
    assert '"Host": "httpbin.org"' in curl("http://externalbin/headers")
    # The last linked pod takes with it what it changed on the machine.
    deadline = time.monotonic() + 5
    while forward.read_text() != before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_wrong_range_says_what_is_right(mesh: Any) -> None:
    said = mesh.outgate("run", "--includeIPRanges=10.0.0.1/33", "--", "true", status=2)
    assert "--includeIPRanges" in said
    assert "10.0.0.0/24" in said
