"""Where packets end up in an injected pod: a namespace with a network, others in the cluster, and all else outside."""

import dataclasses
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Namespace
from tests.e2e.test_redirect_ranges import networks

from outgate.firewall.nflog import NflogReader
from outgate.xds.naming import CAPTURE_PORT as CAPTURE

pytestmark = pytest.mark.root

CLUSTER = ("192.0.2.0/24", "2001:db8:1::/48")


@pytest.fixture
def pod(linked: Any) -> Any:
    linked.rules(exempt_local=True, dns_port=None, proxy_uid=1337, exclude=networks(CLUSTER))
    linked.inside.ip("neigh flush dev eth0")
    return linked


@pytest.mark.parametrize("address", ["203.0.113.1", "2001:db8:2::1"])
def test_tcp_to_the_outside_is_captured(pod: Any, address: str) -> None:
    for port in (80, 53, 15001):
        assert pod.tcp(address, port) == (CAPTURE, (address, port))


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8:1::1"])
def test_the_cluster_is_called_directly(pod: Any, address: str) -> None:
    assert pod.tcp(address, 80) == "direct"
    assert reported(pod, address, 53) == []


@pytest.mark.parametrize("address", ["203.0.113.1", "2001:db8:2::1"])
def test_other_protocols_to_the_outside_are_refused_at_once(pod: Any, address: str) -> None:
    for port in (53, 443):
        assert reported(pod, address, port) == [(address, port)]


def reported(pod: Any, address: str, port: int) -> list[tuple[str, int | None]]:
    """Send a datagram, and return what was refused and reported of it."""
    reader = NflogReader(pod.inside.path, 28519)
    try:
        said = pod.udp(address, port)
        found = [(each.destination, each.port) for each in reader.read()]
        assert not found or said == "refused"
        return found
    finally:
        reader.close()


def test_others_may_call_it(pod: Any) -> None:
    path = Path(str(pod.inside.path).replace("linked", "outside"))
    outside = object.__new__(Namespace)
    outside.name, outside.path = path.name, path
    for family, address in ((socket.AF_INET, "198.51.100.2"), (socket.AF_INET6, "fd00:1::2")):
        with (
            pod.inside.socket(family, socket.SOCK_STREAM) as server,
            outside.socket(family, socket.SOCK_STREAM) as client,
        ):
            server.bind((address, 8088))
            server.listen()
            client.settimeout(2)
            client.connect((address, 8088))


def test_rules_are_the_init_containers() -> None:
    """What the tests of this file apply is what the command makes of the arguments that injection gives it."""
    from click.testing import CliRunner
    from tests.e2e.conftest import SEALED

    from outgate.cli.main import cli
    from outgate.firewall import nft

    words = ["capture-rules", "print", "--proxy-uid=1337", f"--exclude={','.join(CLUSTER)}"]
    printed = CliRunner().invoke(cli, words).stdout
    rules = dataclasses.replace(
        SEALED,
        exempt_local=True,
        dns_port=None,
        proxy_uid=1337,
        exclude=networks(CLUSTER),
        log_group=None,
    )
    assert printed == nft.render(rules)
