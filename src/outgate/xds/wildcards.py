"""Wildcards: one inner listener each, in which a connection goes on to the very name that it asks for.

TLS says the name in its server name, and is passed through; HTTP says it in the Host. What asks for a name that is not
below the wildcard is denied, wherever its connection was aimed. The name is resolved here, and TLS that the egress
opens itself is verified for it.
"""

from dataclasses import replace
from typing import Any

from google.protobuf import json_format

from outgate.model.destinations import External, Port
from outgate.model.visibility import Own
from outgate.traffic.references import Protocol
from outgate.xds import (
    building,
    clusters,
    denials,
    dynamic,
    endpoints,
    http,
    naming,
    pipeline,
    routes,
)
from outgate.xds.building import typed
from outgate.xds.clusters import Upstream
from outgate.xds.policing.filters import TLS, of_connections
from outgate.xds.snapshot import Resource


def resources(
    service: External, log: str, upstream: Upstream, below: tuple[Own, ...] = ()
) -> tuple[Resource, ...]:
    """Return a wildcard's inner listener, and the clusters by which its ports go on; `below` is not for HTTP here.

    Those are there from the start: a filter in front of them looks at them before they could be fetched.
    """
    ports = tuple(each for each in service.ports if each.protocol is not Protocol.TCP)
    if not ports:
        return ()
    made = (
        replace(each, on_demand=False)
        for port in ports
        for each in clusters.to_port(_cluster(service, port), service, port, upstream)
    )
    routed = routes.wildcard(service, below, on_demand=routes.leads_elsewhere(service))
    return (*made, *([routed] if routed else []), _listener(service, ports, log, upstream))


def _cluster(service: External, port: Port) -> str:
    if port.is_http:
        return naming.http_cluster(service.name, port.number)
    return naming.dynamic_cluster(service.name, port.number)


def _listener(service: External, ports: tuple[Port, ...], log: str, upstream: Upstream) -> Resource:
    settings, caller = upstream.settings, denials.TUNNELLED
    chains: list[dict[str, Any]] = []
    matchers: list[dict[str, Any]] = []
    for port in ports:
        name = f"{port.protocol.value}-{port.number}"
        filters = _http if port.is_http else _tls
        chains.append({"name": name, "filters": filters(service, port, log, upstream)})
        said = [pipeline.on_port(port.number), pipeline.IS_TLS]
        if port.is_http:
            said[1] = {"not_matcher": pipeline.IS_TLS}
        else:
            said.append(pipeline.server_name(naming.below(service.host)))
        matchers.append(pipeline.matched(name, pipeline.every(said)))
    reason = denials.wildcard_refusal(service.host)
    refused = pipeline.refusing_chain(settings, log, caller, "tls", reason)
    return building.listener(
        {
            "name": naming.wildcard(service.name),
            "internal_listener": {},
            **pipeline.sniffing(pipeline.LATE_SNIFF_SECONDS),
            "filter_chains": chains,
            "filter_chain_matcher": {"matcher_list": {"matchers": matchers}},
            "default_filter_chain": {"name": "refused", "filters": refused},
        }
    )


def _cache(service: External, port: Port, upstream: Upstream) -> dict[str, Any]:
    message = dynamic.cache(service, port, upstream)
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _tls(service: External, port: Port, log: str, upstream: Upstream) -> list[dict[str, Any]]:
    filters: list[dict[str, Any]] = []
    if port.upstream.proxy is not None:
        asked = _asked(f"%REQUESTED_SERVER_NAME%:{port.outside}")
        config = typed(
            "extensions.filters.network.set_filter_state.v3.Config", on_new_connection=[asked]
        )
        filters.append({"name": "envoy.filters.network.set_filter_state", "typed_config": config})
    elif endpoints.is_dynamic(service, port):
        config = typed(
            "extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig",
            port_value=port.outside,
            dns_cache_config=_cache(service, port, upstream),
        )
        name = "envoy.filters.network.sni_dynamic_forward_proxy"
        filters.append({"name": name, "typed_config": config})
    tls_log = denials.tls_log(log, denials.TUNNELLED)
    cluster = _cluster(service, port)
    proxy = pipeline.tcp_proxy(upstream.settings, "tls", tls_log, cluster)
    # Before the name is resolved.
    return [*of_connections(TLS), *filters, proxy]


def _asked(value: str) -> dict[str, Any]:
    """Return an action that says to a proxy on the way where this call goes; calls for others share no connection."""
    return pipeline.state(naming.STATE_ASKED, value) | {"factory_key": "envoy.hashable_string"}


def _http(service: External, port: Port, log: str, upstream: Upstream) -> list[dict[str, Any]]:
    settings, caller = upstream.settings, denials.TUNNELLED
    named, onward = naming.wildcard(service.name), _onward(service, port, upstream)
    return http.chain(settings, log, caller, pipeline.LATE_IDLE_SECONDS, named, onward)


def _onward(service: External, port: Port, upstream: Upstream) -> list[dict[str, Any]]:
    """Return the filters that let an HTTP call go on to its Host, in which no port stands any more."""
    if port.upstream.proxy is not None:
        return [_set(_asked(f"%REQ(:AUTHORITY)%:{port.outside}"))]
    if not endpoints.is_dynamic(service, port):
        return []
    number = pipeline.state("envoy.upstream.dynamic_port", str(port.outside), shared=False)
    config = typed(
        "extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
        allow_dynamic_host_from_filter_state=True,
        dns_cache_config=_cache(service, port, upstream),
    )
    name = "envoy.filters.http.dynamic_forward_proxy"
    return [_set(number), {"name": name, "typed_config": config}]


def _set(action: dict[str, Any]) -> dict[str, Any]:
    config = typed(
        "extensions.filters.http.set_filter_state.v3.Config", on_request_headers=[action]
    )
    return {"name": "envoy.filters.http.set_filter_state", "typed_config": config}
