"""A sidecar's whole configuration: where captured connections arrive, and which of them go on through a tunnel.

It names no service, so it is the same size however many there are.
"""

from collections.abc import Iterable
from typing import Any

from outgate.model.workloads import Network
from outgate.settings import Settings
from outgate.xds import building, naming, pipeline, tunnels
from outgate.xds.bootstraps import BUFFER_BYTES
from outgate.xds.building import typed
from outgate.xds.snapshot import Resource

IP6 = "-ip6"
"""What the names of listeners on ::1 end in. A pod may have no IPv6 at all: each family has listeners of its own."""

LISTENERS = (naming.CAPTURE, naming.CAPTURE + IP6, naming.RAW, naming.RAW + IP6)


def resources(
    places: Iterable[str], settings: Settings, inside: Iterable[Network] = ()
) -> tuple[Resource, ...]:
    """Return all that a sidecar gets: the capture listeners, and the way to the egress Envoys at some places.

    Connections to the ranges `inside` go straight to where they were going.
    """
    ranges = tuple(inside)
    own = [_to_direct()] if ranges else []
    return (
        tunnels.to_egress(places, settings),
        *own,
        *_capture(naming.CAPTURE, naming.CAPTURE_PORT, settings, ranges),
        *_capture(naming.RAW, naming.RAW_PORT, settings),
    )


def _capture(
    name: str, port: int, settings: Settings, inside: tuple[Network, ...] = ()
) -> tuple[Resource, ...]:
    chains = _chains(settings, inside)
    return tuple(
        building.listener(
            {
                "name": name + suffix,
                "address": {"socket_address": {"address": ip, "port_value": port}},
                # Where IPv6 is switched off there is no ::1, and nothing arrives there.
                **({"freebind": True} if suffix else {}),
                "listener_filters": pipeline.listener_filters(sniff=False),
                "per_connection_buffer_limit_bytes": BUFFER_BYTES,
                **chains,
            }
        )
        for suffix, ip in (("", "127.0.0.1"), (IP6, "::1"))
    )


def _chains(settings: Settings, inside: tuple[Network, ...]) -> dict[str, Any]:
    tunnelled = _proxy(
        settings,
        stat_prefix=naming.TUNNEL,
        cluster=tunnels.EGRESS_CLUSTER,
        tunneling_config={"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"},
        # Another egress Envoy is tried where one has just gone.
        max_connect_attempts=3,
    )
    default = {"name": naming.TUNNEL, "filters": [tunnelled]}
    if not inside:
        return {"filter_chains": [default]}
    direct = _proxy(settings, stat_prefix=naming.DIRECT, cluster=naming.DIRECT)
    # The ranges stand in the matcher, not in a chain: one that changes would have its connections closed, and ranges
    # change when nodes come and go.
    return {
        "filter_chains": [{"name": naming.DIRECT, "filters": [direct]}],
        "filter_chain_matcher": pipeline.to_ranges(naming.DIRECT, inside),
        "default_filter_chain": default,
    }


def _proxy(settings: Settings, **fields: Any) -> dict[str, Any]:
    config = typed(
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        idle_timeout=building.seconds(settings.idle_timeout * 12),
        **fields,
    )
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def _to_direct() -> Resource:
    return building.any_cluster(
        {
            "name": naming.DIRECT,
            "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED",
            "per_connection_buffer_limit_bytes": BUFFER_BYTES,
            "connect_timeout": "5s",
        }
    )
