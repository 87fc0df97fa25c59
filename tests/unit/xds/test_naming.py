import ipaddress
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outgate.envoy import binary
from outgate.model.names import Name
from outgate.traffic.references import FileKey, SecretKey
from outgate.xds import naming

ADDRESSES = [
    "192.0.2.1",
    "240.240.200.7",
    "2001:2:0:8000::1",
    "2001:db8::",
    "2001:db8:0:1:0:0:0:1",
    "2001:db8::1:0:0:1",
]


@pytest.mark.parametrize(
    ("address", "expected"), [("192.0.2.1", "192.0.2.1:80"), ("2001:db8:0::1", "[2001:db8::1]:80")]
)
def test_host_port(address: str, expected: str) -> None:
    assert naming.host_port(ipaddress.ip_address(address), 80) == expected


def test_names() -> None:
    name = Name("ns", "s")
    assert naming.http_cluster(name, 80) == "http|s.ns|80"
    assert naming.raw_cluster(ipaddress.ip_address("2001:2::1"), 22) == "tcp|[2001:2::1]:22"
    assert naming.inbound(name, 80) == "inbound|s.ns|80"
    assert naming.workload_listener(name, naming.RAW) == "pod|s.ns|raw"


def run(*words: str, text: str = "") -> int:
    done = subprocess.run(words, input=text, text=True, capture_output=True, check=False)
    return done.returncode


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"outgate-test-{os.getpid()}-naming"
    lines = "link set lo up\nroute add local 0.0.0.0/0 dev lo\nroute add local ::/0 dev lo\n"
    assert run("ip", "netns", "add", name) == 0
    assert run("ip", "-n", name, "-batch", "-", text=lines) == 0
    yield name
    run("ip", "netns", "delete", name)


@pytest.mark.envoy
@pytest.mark.root
def test_envoy_writes_addresses_the_same_way(namespace: str, tmp_path: Path) -> None:
    """A plain TCP cluster is found by what Envoy writes: another spelling would be a denial."""
    log, config = tmp_path / "log", tmp_path / "envoy.json"
    config.write_text(json.dumps(_bootstrap(log)))
    inside = ("ip", "netns", "exec", namespace)
    words = [
        *inside,
        str(binary.find()),
        "--concurrency",
        "1",
        "--log-level",
        "error",
        "-c",
        str(config),
    ]
    calls = f"import socket\nfor a in {ADDRESSES!r}:\n socket.create_connection((a, 7777)).close()"
    with subprocess.Popen(words) as process:
        try:
            until(lambda: run(*inside, "python3", "-c", calls) == 0)
            until(lambda: len(log.read_text().split()) >= len(ADDRESSES))
        finally:
            process.kill()
    expected = {naming.host_port(ipaddress.ip_address(each), 7777) for each in ADDRESSES}
    assert set(log.read_text().split()) == expected


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _bootstrap(log: Path) -> dict[str, object]:
    kind = "type.googleapis.com/envoy.extensions."
    logger = {
        "@type": kind + "access_loggers.file.v3.FileAccessLog",
        "path": str(log),
        "log_format": {"text_format_source": {"inline_string": "%DOWNSTREAM_LOCAL_ADDRESS%\n"}},
    }
    proxy = {
        "@type": kind + "filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "t",
        "cluster": "none",
        "access_log": [{"name": "file", "typed_config": logger}],
    }
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": host,
                    "address": {"socket_address": {"address": host, "port_value": 7777}},
                    "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}],
                }
                for host in ("0.0.0.0", "::")  # noqa: S104 - in a namespace of its own
            ]
        }
    }


def test_material_that_is_used_in_several_ways_has_a_name_for_each() -> None:
    key, file = SecretKey("ns", "s", "tls.key"), FileKey("/etc/ca.pem")
    assert naming.material(key) == "material|secret|ns/s/tls.key"
    assert naming.material(file) == "material|file|/etc/ca.pem"
    assert len({naming.material(file), naming.trusted(file)}) == 2
    assert naming.client_certificate(key, file) != naming.client_certificate(file, key)


def test_a_failover_is_known_by_whose_it_is_and_by_its_order() -> None:
    a, b = (Name("ns", "a"), 80), (Name("ns", "b"), 80)
    names = {
        naming.failover(Name("ns", owner), order) for owner in "ab" for order in ((a, b), (b, a))
    }
    assert len(names) == 4
