"""Where packets end up in an injected pod: a namespace with a network, others in the cluster, and all else outside."""

import dataclasses
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Namespace
from tests.e2e.ranges import networks

from outgate.firewall.nflog import NflogReader
from outgate.firewall.rules import NEIGHBOURS
from outgate.xds.naming import CAPTURE_PORT as CAPTURE

pytestmark = pytest.mark.root

CLUSTER = ("192.0.2.0/24", "2001:db8:1::/48")
REACH = ("192.0.2.0/23", "2001:db8::/47")
"""What the sidecar alone may call: it holds what `CLUSTER` does, and more."""
PROXY = 1337


@pytest.fixture
def pod(linked: Any) -> Any:
    linked.rules(
        exempt_local=True,
        dns_port=None,
        proxy_uid=PROXY,
        exclude=networks(CLUSTER),
        proxy_reach=networks(REACH),
        on_link=networks(("fd00:1::/126",)),
    )
    linked.inside.ip(
        "neigh flush dev eth0",
        # A pod has no such routes.
        "route del local 240.240.0.0/16 dev lo",
        "route del local 2001:2::/48 dev lo",
    )
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


@pytest.mark.parametrize("address", ["203.0.113.1", "2001:db8:2::1", "240.240.1.1", "2001:2::1"])
def test_becoming_the_sidecars_user_opens_nothing(pod: Any, address: str) -> None:
    for port in (80, 443, 15008, 15012):
        assert pod.tcp(address, port, uid=PROXY) == "refused"
    for port in (53, 443):
        assert reported(pod, address, port, PROXY) == [(address, port)]


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8:1::1"])
def test_the_sidecar_calls_the_cluster(pod: Any, address: str) -> None:
    assert pod.tcp(address, 80, uid=PROXY) == "direct"
    assert reported(pod, address, 53, PROXY) == []


@pytest.mark.parametrize("address", ["192.0.3.1", "2001:db8::1"])
def test_what_a_later_node_has_is_for_the_sidecar_alone(pod: Any, address: str) -> None:
    assert pod.tcp(address, 80, uid=PROXY) == "direct"
    assert pod.tcp(address, 80) == (CAPTURE, (address, 80))
    assert reported(pod, address, 53) == [(address, 53)]


@pytest.mark.parametrize("kind", NEIGHBOURS)
def test_no_data_leaves_in_what_finds_neighbours(pod: Any, kind: int) -> None:
    data = bytes((kind, 0, 0, 0)) + b"data that wants to leave"
    with pod.inside.socket(socket.AF_INET6, socket.SOCK_RAW, 0, socket.IPPROTO_ICMPV6) as raw:
        for address in ("2001:db8:2::1", "ff0e::1"):
            with pytest.raises(PermissionError):
                raw.sendto(data, (address, 0, 0, 0))
        link = socket.if_nametoindex("lo") + 1
        assert raw.sendto(data, ("ff02::2", 0, 0, link)) == len(data)


def reported(pod: Any, address: str, port: int, uid: int = 0) -> list[tuple[str, int | None]]:
    """Send a datagram, and return what was refused and reported of it."""
    reader = NflogReader(pod.inside.path, 28519)
    try:
        said = pod.udp(address, port, uid=uid)
        found = [(each.destination, each.port) for each in reader.read()]
        assert not found or said == "refused"
        return found
    finally:
        reader.close()


@pytest.mark.parametrize("uid", [0, PROXY])
def test_others_may_call_it(pod: Any, uid: int) -> None:
    """Also the sidecar: the kubelet asks it whether it is ready, from wherever a node is."""
    path = Path(str(pod.inside.path).replace("linked", "outside"))
    outside = object.__new__(Namespace)
    outside.name, outside.path = path.name, path
    for family, address in ((socket.AF_INET, "198.51.100.2"), (socket.AF_INET6, "fd00:1::2")):
        with (
            pod.inside.socket(family, socket.SOCK_STREAM, uid) as server,
            outside.socket(family, socket.SOCK_STREAM) as client,
        ):
            server.bind((address, 8088))
            server.listen()
            client.settimeout(2)
            client.connect((address, 8088))
            answering, _ = server.accept()
            with answering:
                answering.send(b"ready")
            assert client.recv(5) == b"ready"


def test_rules_are_the_init_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests of this file apply is what the command makes of the arguments that injection gives it."""
    from click.testing import CliRunner
    from tests.e2e.conftest import SEALED

    from outgate.cli.main import cli
    from outgate.firewall import neighbours, nft

    (tmp_path / "reach").write_text("\n".join(REACH))
    words = ["capture-rules", "print", "--proxy-uid=1337", f"--exclude={','.join(CLUSTER)}"]
    words.append(f"--proxy-from={tmp_path / 'reach'}")
    monkeypatch.setattr(neighbours, "here", lambda: networks(("fd00:1::/126",)))
    printed = CliRunner().invoke(cli, words).stdout
    rules = dataclasses.replace(
        SEALED,
        exempt_local=True,
        dns_port=None,
        proxy_uid=PROXY,
        proxy_reach=networks(REACH),
        on_link=networks(("fd00:1::/126",)),
        exclude=networks(CLUSTER),
        log_group=None,
    )
    assert printed == nft.render(rules)
