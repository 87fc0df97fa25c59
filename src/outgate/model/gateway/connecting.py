"""Routes of connections, TLS that is passed through and TCP: where the egress connects to instead, and by which shares.

A connection is given to an endpoint, so that it is endpoints that such a route replaces: one for each backend.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from outgate.model.declarations import Source, Tuning
from outgate.model.destinations import Port
from outgate.model.gateway.known import Known, Place
from outgate.model.gateway.merging import Group
from outgate.model.gateway.resolving import HTTP_KINDS, Refusal, kind_of, resolve
from outgate.resources.gateway.routes import Backend, Route
from outgate.traffic.upstream import Endpoint, Resolution, Tls, Upstream

NO_BACKEND = "no-backend.invalid"
"""A name that never has an address (RFC 6761): where no backend can be used, connections end."""


def tunings(made: Group, found: Mapping[Source, Route], known: Known) -> tuple[Tuning, ...]:
    """Return where connections to a group's ports go; of several routes for a port the oldest counts."""
    chosen: dict[int, Route] = {}
    ordered = sorted(found.items(), key=lambda each: (each[1].metadata.creation_timestamp, each[0]))
    for source, route in ordered:
        if kind_of(route) not in HTTP_KINDS:
            for number in made.ports.get(source, ()):
                chosen.setdefault(number, route)
    if made.place is None:
        return ()
    return tuple(
        Tuning(made.place.name, _upstream(route, known), (number,), "spec.parentRefs")
        for number, route in sorted(chosen.items())
    )


def _upstream(route: Route, known: Known) -> Upstream:
    backends = [each for rule in route.rules for each in rule.backends if each.reference.weight]
    usable = list(_usable(route, backends, known))
    endpoints = tuple(
        Endpoint(place.host, port.outside, weight=backend.reference.weight)
        for backend, place, port in usable
    )
    made = Upstream(resolution=Resolution.DNS, endpoints=endpoints or (Endpoint(NO_BACKEND, 1),))
    tls = next((_named(port.upstream.tls, place) for _, place, port in usable), None)
    return made if tls is None else replace(made, tls=tls)


def _usable(
    route: Route, backends: list[Backend], known: Known
) -> Iterator[tuple[Backend, Place, Port]]:
    """Yield those that lead somewhere. All share one way of opening TLS: the first one's."""
    first: tuple[Tls | None, ...] = ()
    for each in backends:
        place = known.place(each.reference.object)
        if place is None or isinstance(resolve(route, each.reference, known), Refusal):
            continue
        number = each.reference.port or place.main
        port = next(one for one in place.ports if one.number == number)
        first = first or (port.upstream.tls,)
        if port.upstream.tls == first[0]:
            yield each, place, port


def _named(tls: Tls | None, place: Place) -> Tls | None:
    """Write out the name that is asked for, and verified, which would else be that of what is called."""
    if tls is None:
        return None
    return replace(tls, sni=tls.sni or place.host, names=tls.names or (place.host,))
