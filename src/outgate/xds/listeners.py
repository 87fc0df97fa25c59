"""Where captured connections arrive: in a workload's own namespace, or at the end of a tunnel.

The number and the size of these resources depend on how many workloads there are, not on how many services: all that
shows of those are the numbers of their HTTP ports, and networks.
"""

from typing import Any

from outgate.model.addresses import Region
from outgate.model.names import Name
from outgate.model.workloads import Capture, Workload
from outgate.settings import Settings
from outgate.xds import building, denials, naming, pipeline
from outgate.xds.bootstraps import BUFFER_BYTES
from outgate.xds.building import typed
from outgate.xds.dns import FORWARD_IDLE_SECONDS, SEALED_IDLE_SECONDS
from outgate.xds.pipeline import Known
from outgate.xds.snapshot import Resource


def _sockets(netns: str, port: int, protocol: str = "TCP") -> dict[str, Any]:
    """Return a loopback address of each family inside a network namespace: redirected packets arrive there."""

    def address(ip: str) -> dict[str, Any]:
        return {
            "socket_address": {
                "protocol": protocol,
                "address": ip,
                "port_value": port,
                "network_namespace_filepath": netns,
            }
        }

    return {
        "address": address("127.0.0.1"),
        "additional_addresses": [{"address": address("::1")}],
    }


def _raw(settings: Settings, log: str, caller: denials.Caller) -> dict[str, Any]:
    return {
        "listener_filters": pipeline.listener_filters(sniff=False),
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "filter_chains": [
            {
                "name": "tcp-local",
                "filters": pipeline.connection_chain(settings, log, caller, local=True),
            }
        ],
        "filter_chain_matcher": pipeline.to_ranges("tcp-local", Region.RAW_LOCAL.networks),
        "default_filter_chain": {
            "name": "tcp",
            "filters": pipeline.connection_chain(settings, log, caller),
        },
    }


def workload(
    workload: Workload, settings: Settings, log: str, known: Known
) -> tuple[Resource, ...]:
    """Return the listeners that the egress Envoy opens in a workload's namespace: TCP for node capture, DNS for all."""
    name = naming.workload_listener(workload.name, naming.DNS)
    idle = FORWARD_IDLE_SECONDS if workload.include else SEALED_IDLE_SECONDS
    resolving = building.listener(
        {
            "name": name,
            **_sockets(workload.netns, naming.DNS_PORT, "UDP"),
            "listener_filters": [udp_proxy(name, idle)],
        }
    )
    if workload.capture is not Capture.NODE:
        return (resolving,)
    caller = denials.caller_of(workload, settings.trust_domain)
    capture = {
        "name": naming.workload_listener(workload.name, naming.CAPTURE),
        **_sockets(workload.netns, naming.CAPTURE_PORT),
        **pipeline.sniffing(pipeline.SNIFF_SECONDS),
        **pipeline.chains(settings, log, caller, known),
    }
    raw = {
        "name": naming.workload_listener(workload.name, naming.RAW),
        **_sockets(workload.netns, naming.RAW_PORT),
        **_raw(settings, log, caller),
    }
    return building.listener(capture), building.listener(raw), resolving


def inbound(pod: Name, port: int) -> Resource:
    """Return the inner listener through which a Service's calls reach a pod's own port."""
    name = naming.inbound(pod, port)
    proxy = typed(
        "extensions.filters.network.tcp_proxy.v3.TcpProxy", stat_prefix="inbound", cluster=name
    )
    chain = {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}
    return building.listener({"name": name, "internal_listener": {}, "filter_chains": [chain]})


def udp_proxy(cluster: str, idle: float) -> dict[str, Any]:
    """Return the filter that passes datagrams on; a sender is forgotten after `idle` seconds without any."""
    action = {
        "name": "route",
        "typed_config": typed("extensions.filters.udp.udp_proxy.v3.Route", cluster=cluster),
    }
    proxy = typed(
        "extensions.filters.udp.udp_proxy.v3.UdpProxyConfig",
        stat_prefix="dns",
        matcher={"on_no_match": {"action": action}},
        idle_timeout=building.seconds(idle),
    )
    return {"name": "envoy.filters.udp_listener.udp_proxy", "typed_config": proxy}


def capture(
    settings: Settings, log: str, known: Known, sniff: float = pipeline.SNIFF_SECONDS
) -> Resource:
    """Return the inner listener at the end of tunnels; `known` is what it knows of destinations.

    A client that says nothing for `sniff` seconds is taken as one of plain TCP, but on ports for HTTP or TLS.
    """
    return building.listener(
        {
            "name": naming.CAPTURE,
            "internal_listener": {},
            **pipeline.sniffing(sniff),
            **pipeline.chains(settings, log, denials.TUNNELLED, known),
        }
    )


def shared(settings: Settings, log: str) -> tuple[Resource, ...]:
    """Return the inner listeners for plain TCP at the end of tunnels, and for clients that take their time."""
    late = {
        "name": naming.LATE,
        "internal_listener": {},
        **pipeline.sniffing(pipeline.LATE_SNIFF_SECONDS),
        **pipeline.late_chains(settings, log, denials.TUNNELLED),
    }
    raw = {
        "name": naming.RAW,
        "internal_listener": {},
        **_raw(settings, log, denials.TUNNELLED),
    }
    return building.listener(late), building.listener(raw)
