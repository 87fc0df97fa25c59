"""Routes of HTTP calls: one scope for each service, found by the service and namespace in the Host.

So a new service is one small resource, and nothing is looked at again that was there before.
"""

from google.protobuf import any_pb2

from outgate.model.destinations import Destination, External, Port, forms
from outgate.settings import Settings
from outgate.traffic.references import Protocol
from outgate.xds import building, denials, naming
from outgate.xds import extensions as ext
from outgate.xds.snapshot import Resource

RETRY_ON = "connect-failure,refused-stream,reset-before-request"
"""Failures in which the request cannot have been acted upon, so that any method may be tried again."""
DEFAULT_PORTS = {Protocol.HTTP: 80, Protocol.HTTPS: 443, Protocol.HTTP2: 80, Protocol.GRPC: 80}
"""Ports that do not stand in a Host header (RFC 9110, section 7.2)."""


ON_DEMAND_SECONDS = 5
"""How long a call waits for its cluster."""


def _fetching() -> any_pb2.Any:
    config = ext.on_demand.PerRouteConfig()
    config.odcds.source.ads.SetInParent()
    config.odcds.source.resource_api_version = ext.config_source.V3
    config.odcds.timeout.FromSeconds(ON_DEMAND_SECONDS)
    return building.pack(config)


_FETCHING = _fetching()


def scope(service: Destination, settings: Settings, *, on_demand: bool = False) -> Resource | None:
    """Return the scoped route configuration of a service's HTTP ports; None where it has none.

    With `on_demand` a call has the listeners' filter of that name fetch the cluster; others do not pass through it,
    as it takes a twenty-fifth of a call's time.
    """
    ports = tuple(port for port in service.ports if port.is_http)
    if not ports:
        return None
    name = str(service.name)
    message = ext.scoped_route.ScopedRouteConfiguration(name=name)
    for label in (service.name.name, service.name.namespace):
        message.key.fragments.add().string_key = label
    routes = message.route_configuration
    routes.name = name
    # Clusters may come on demand, so that Envoy cannot know them yet.
    routes.validate_clusters.value = False
    host = routes.virtual_hosts.add()
    host.name = name
    host.domains.extend(forms(service.name, settings.trust_domain))
    host.request_headers_to_remove.extend(
        (naming.SCOPE_HEADER, naming.PORT_HEADER, "x-forwarded-proto")
    )
    if on_demand:
        host.typed_per_filter_config[naming.ON_DEMAND].CopyFrom(_FETCHING)
    for port in ports:
        _add_route(host, service, port)
    return building.resource(building.SCOPED_ROUTE, name, message)


def _add_route(host: ext.route_components.VirtualHost, service: Destination, port: Port) -> None:
    route = host.routes.add(name=denials.DECLARED)
    route.match.prefix = "/"
    header = route.match.headers.add()
    header.name = naming.PORT_HEADER
    header.string_match.exact = str(port.number)
    action = route.route
    action.cluster = naming.http_cluster(service.name, port.number)
    # Downloads may be long: what ends a request is silence (the idle timeout), not its length.
    action.timeout.FromSeconds(0)
    action.retry_policy.retry_on = RETRY_ON
    action.retry_policy.num_retries.value = 2
    if isinstance(service, External):
        default = DEFAULT_PORTS.get(port.protocol) == port.number
        action.host_rewrite_literal = service.host if default else f"{service.host}:{port.number}"
    route.metadata.filter_metadata[naming.METADATA].update(
        {"service": str(service.name), "decision": denials.ALLOWED}
    )
