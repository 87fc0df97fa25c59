"""What resources declare, as short as tests want to say it, and what is assembled of it."""

from typing import Any

from outgate.model.assembling import Assembly
from outgate.model.declarations import Declarations, Routing, Source, Tuning
from outgate.model.destinations import Destination, External, Port
from outgate.model.names import Name
from outgate.resources.problems import Location
from outgate.traffic.references import Protocol
from outgate.traffic.routing import Rule
from outgate.traffic.upstream import Upstream

HTTP = Port(80, Protocol.HTTP)
API = "api.example.com"


def host(namespace: str, name: str = API, **fields: Any) -> External:
    visible = fields.pop("visible", frozenset[str]())
    return External(Name(namespace, name), name, (HTTP,), visible=visible, **fields)


def declared(source: Source, *destinations: Destination, **fields: Any) -> Declarations:
    return Declarations(source, Location(), destinations=destinations, **fields)


def external(namespace: str, name: str = "e") -> Source:
    return Source("ExternalService", namespace, name)


def route(
    namespace: str, target: Name, *rules: Rule, name: str = "r", created: str = ""
) -> Declarations:
    source = Source("HTTPRoute", namespace, name)
    return declared(
        source, created=created, routings=(Routing(target, rules, "spec.parentRefs[0]"),)
    )


def tuning(
    namespace: str, target: Name, name: str = "t", created: str = "", **upstream: Any
) -> Declarations:
    source = Source("DestinationRule", namespace, name)
    return declared(source, created=created, tunings=(Tuning(target, Upstream(**upstream)),))


def assembled(*every: Declarations) -> Assembly:
    made = Assembly()
    made.update((each.source, each) for each in every)
    return made


def external_at(assembly: Assembly, namespace: str, name: str = API) -> External:
    found = assembly.effective[Name(namespace, name)]
    assert isinstance(found, External)
    return found


def messages(assembly: Assembly, source: Source) -> list[str]:
    return [each.message for each in assembly.found.get(source, ())]
