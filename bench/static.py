"""The baseline: an Envoy that does the same for one host, with a configuration as one would write it by hand.

It has the listeners in the workload's namespace, an allow-list of hosts and a JSON line for each call, as Outgate does;
it has no control plane, no DNS, no redirect, and knows its upstream's address.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import places
from bench.commands import BenchError, run, started
from outgate.envoy import binary

HTTP, TLS, RAW = 15001, 15002, 15003
"""Ports of its listeners: plain, opening TLS, and passing the client's own TLS through."""
_TYPE = "type.googleapis.com/envoy.extensions."


@contextlib.contextmanager
def running(folder: Path, ca_file: Path) -> Iterator[int]:
    """Have it for the time of a `with` block; its process number."""
    config = folder / "static.json"
    config.write_text(json.dumps(_config(str(folder / "static.log"), str(ca_file))))
    try:
        run("ip", "netns", "add", places.STATIC_NETNS)
        run("ip", "-n", places.STATIC_NETNS, "link", "set", "lo", "up")
        envoy = binary.check(binary.find())
        command = (
            str(envoy.path),
            "-c",
            str(config),
            "--log-level",
            "error",
            "--use-dynamic-base-id",
        )
        with started(command, folder / "static.out") as process:
            (folder / "static.pid").write_text(str(process.pid))
            _wait(folder / "static.out")
            yield process.pid
    finally:
        run("ip", "netns", "delete", places.STATIC_NETNS, check=False)


def inside() -> tuple[str, ...]:
    """Return the words that start a command where its listeners are."""
    return ("ip", "netns", "exec", places.STATIC_NETNS)


def _wait(log: Path) -> None:
    deadline = time.monotonic() + 10
    while f":{RAW} " not in run(*inside(), "ss", "-ltnH"):
        if time.monotonic() > deadline:
            raise BenchError(f"the static Envoy does not serve: {log.read_text()[-1000:]}")
        time.sleep(0.05)


def one(address: str, port: int, host: str) -> dict[str, Any]:
    """Return the configuration of one that runs in a pod, and leads to one address of a host, in plain HTTP."""
    listener = _listener(HTTP, _http("http", "/dev/stdout", host))
    del listener["address"]["socket_address"]["network_namespace_filepath"]
    clusters = [_cluster("http", port, address)]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def _config(log: str, ca_file: str) -> dict[str, Any]:
    return {
        "static_resources": {
            "listeners": [
                _listener(HTTP, _http("http", log)),
                _listener(TLS, _http("tls", log)),
                _listener(RAW, _tcp(log)),
            ],
            "clusters": [
                _cluster("http", places.HTTP_PORT),
                _cluster("tls", places.TLS_PORT) | {"transport_socket": _tls(ca_file)},
                _cluster("raw", places.RAW_TLS_PORT),
            ],
        }
    }


def _listener(port: int, filters: dict[str, Any]) -> dict[str, Any]:
    address = {
        "address": "127.0.0.1",
        "port_value": port,
        "network_namespace_filepath": f"/run/netns/{places.STATIC_NETNS}",
    }
    return {
        "name": str(port),
        "address": {"socket_address": address},
        "filter_chains": [{"filters": [filters]}],
    }


def _log(path: str) -> list[dict[str, Any]]:
    fields = (
        "START_TIME", "REQ(:METHOD)", "PATH(NQ)", "RESPONSE_CODE", "REQ(:AUTHORITY)", "UPSTREAM_HOST", "RESPONSE_FLAGS",
        "BYTES_RECEIVED", "BYTES_SENT", "DURATION", "RESPONSE_CODE_DETAILS", "DOWNSTREAM_LOCAL_ADDRESS",
        "DOWNSTREAM_REMOTE_ADDRESS", "UPSTREAM_TRANSPORT_FAILURE_REASON",
    )  # fmt: skip
    config = {
        "@type": _TYPE + "access_loggers.file.v3.FileAccessLog",
        "path": path,
        "log_format": {"json_format": {each: f"%{each}%" for each in fields}},
    }
    return [{"name": "file", "typed_config": config}]


def _http(cluster: str, log: str, host: str = places.DOMAIN) -> dict[str, Any]:
    hosts = {
        "name": "allowed",
        "domains": [host, f"{host}:*"],
        "routes": [
            {
                "match": {"prefix": "/"},
                "route": {"cluster": cluster, "host_rewrite_literal": host},
            }
        ],
    }
    router = {"@type": _TYPE + "filters.http.router.v3.Router"}
    config = {
        "@type": _TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": cluster,
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [hosts]},
        "http_filters": [{"name": "router", "typed_config": router}],
        "access_log": _log(log),
    }
    return {"name": "http", "typed_config": config}


def _tcp(log: str) -> dict[str, Any]:
    config = {
        "@type": _TYPE + "filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "raw",
        "cluster": "raw",
        "access_log": _log(log),
    }
    return {"name": "tcp", "typed_config": config}


def _cluster(name: str, port: int, address: str = places.ORIGIN) -> dict[str, Any]:
    where = {"socket_address": {"address": address, "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": where}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def _tls(ca_file: str) -> dict[str, Any]:
    validation = {
        "trusted_ca": {"filename": ca_file},
        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": places.DOMAIN}}],
    }
    config = {
        "@type": _TYPE + "transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": places.DOMAIN,
        "common_tls_context": {"validation_context": validation},
    }
    return {"name": "tls", "typed_config": config}
