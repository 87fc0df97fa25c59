"""Routes of HTTP calls: a scope for all that have the same first two labels, found by those in the Host.

So a new service is one small resource, and nothing is looked at again that was there before.
"""

from collections.abc import Iterable, Iterator, Sequence

from google.protobuf import any_pb2

from outgate.model.destinations import Destination, External, Port, forms
from outgate.model.names import Name
from outgate.model.visibility import EVERYONE, Callers, Own, divide
from outgate.settings import Settings
from outgate.xds import building, naming, rules
from outgate.xds import extensions as ext
from outgate.xds.snapshot import Resource

ON_DEMAND_SECONDS = 5
"""How long a call waits for its cluster."""


def _fetching() -> any_pb2.Any:
    config = ext.on_demand.PerRouteConfig()
    config.odcds.source.ads.SetInParent()
    config.odcds.source.resource_api_version = ext.config_source.V3
    config.odcds.timeout.FromSeconds(ON_DEMAND_SECONDS)
    return building.pack(config)


_FETCHING = _fetching()
_OURS = (
    naming.SCOPE_HEADER,
    naming.PORT_HEADER,
    naming.NAMESPACE_HEADER,
    naming.IDENTITY_HEADER,
    naming.POD_HEADER,
    "x-forwarded-proto",
)
"""Headers that do not leave: ours, and one that Envoy adds."""


def leads_elsewhere(destination: Destination) -> bool:
    """Whether rules lead to other destinations, whose clusters may have to be fetched though its own are there."""
    return isinstance(destination, External) and any(each.backends for each in destination.rules)


def scope_key(name: Name) -> tuple[str, str]:
    """Return the key of the scope that a destination is in: the first two labels of `HOST.NAMESPACE-OF-CALLER.`."""
    if "." not in name.name:
        return name.name, name.namespace
    first, second, *_ = name.name.split(".")
    return first, second


def scope(
    key: tuple[str, str],
    members: Sequence[Destination],
    settings: Settings,
    *,
    on_demand: bool = False,
) -> Resource | None:
    """Return the scoped route configuration of all that have a key; None where none of them has an HTTP port.

    `members` are in any order; wildcards have a `wildcard` each instead. With `on_demand` a call has the listeners'
    filter of that name fetch the cluster; others do not pass through it, as it takes a twenty-fifth of a call's time.
    """
    name = ".".join(key)
    message = ext.scoped_route.ScopedRouteConfiguration(name=name)
    for label in key:
        message.key.fragments.add().string_key = label
    _configure(message.route_configuration, name)
    taken: set[str] = set()
    for title, domains, parts in _hosts(members, settings):
        # Envoy refuses a domain that is there twice, and with it all that comes with it; Services are first.
        free = [each for each in domains if each not in taken]
        taken.update(free)
        if free:
            host = message.route_configuration.virtual_hosts.add(name=title, domains=free)
            _fill(host, parts, on_demand=on_demand)
    if not message.route_configuration.virtual_hosts:
        return None
    return building.resource(building.SCOPED_ROUTE, name, message)


def wildcard(
    destination: External, below: Sequence[Own] = (), *, on_demand: bool = False
) -> Resource | None:
    """Return the route configuration of a wildcard's own listener, named as that is; None without an HTTP port.

    What `below` it is declared by itself is refused: rules and policies about that would be evaded here.
    """
    if not _http_ports(destination):
        return None
    name = naming.wildcard(destination.name)
    message = ext.route.RouteConfiguration()
    _configure(message, name)
    host = message.virtual_hosts.add(name=name, domains=[destination.name.name])
    for each, callers in below:
        rules.add_own(host, each, callers)
    refused = len(host.routes)
    _fill(host, [(destination, EVERYONE)], on_demand=on_demand)
    for route in host.routes[refused:]:
        # Envoy compares the end of the Host alone, whatever is before it.
        asked = route.match.headers.add(name=":authority")
        asked.string_match.safe_regex.regex = naming.below(destination.host)
    return building.resource(building.ROUTE, name, message)


def addressed(destination: External) -> Resource | None:
    """Return the routes of a destination that is called by address, whatever the Host; None without an HTTP port."""
    if not _http_ports(destination):
        return None
    name = naming.wildcard(destination.name)
    message = ext.route.RouteConfiguration()
    _configure(message, name)
    host = message.virtual_hosts.add(name=name, domains=["*"])
    _fill(host, [(destination, EVERYONE)], on_demand=False)
    return building.resource(building.ROUTE, name, message)


def _configure(message: ext.route.RouteConfiguration, name: str) -> None:
    message.name = name
    # Clusters may come on demand, so that Envoy cannot know them yet.
    message.validate_clusters.value = False


_Parts = Sequence[tuple[Destination, Callers]]


def _parts(members: Iterable[External]) -> _Parts:
    return [each for each in divide(members) if _http_ports(each[0])]


def _hosts(
    members: Iterable[Destination], settings: Settings
) -> Iterator[tuple[str, Sequence[str], _Parts]]:
    """Yield each virtual host's name and domains, and who declares it for whom: Services, and then hosts."""
    declared: dict[str, list[External]] = {}
    for each in sorted(members, key=lambda one: one.name):
        if isinstance(each, External) and each.is_host:
            declared.setdefault(each.name.name, []).append(each)
        elif _http_ports(each):
            domains = forms(each.name, settings.trust_domain)
            yield str(each.name), domains, [(each, EVERYONE)]
    for host, several in sorted(declared.items()):
        if parts := _parts(several):
            yield host, (host,), parts


def _http_ports(destination: Destination) -> tuple[Port, ...]:
    return tuple(port for port in destination.ports if port.is_http)


def _fill(host: ext.route_components.VirtualHost, parts: _Parts, *, on_demand: bool) -> None:
    host.request_headers_to_remove.extend(_OURS)
    if on_demand:
        host.typed_per_filter_config[naming.ON_DEMAND].CopyFrom(_FETCHING)
    for destination, callers in parts:
        for port in _http_ports(destination):
            rules.add(host, destination, port, callers)
