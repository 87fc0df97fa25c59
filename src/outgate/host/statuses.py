"""What has become of each resource on one machine: the conditions that a cluster has in `status`.

Nobody keeps them here, so that they have no time since when they hold.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from outgate.host.mesh import Mesh
from outgate.model import conditions
from outgate.model.conditions import Moment
from outgate.model.declarations import Source
from outgate.model.destinations import External
from outgate.model.gateway import statuses
from outgate.model.gateway.statuses import Outcome
from outgate.resources.problems import Severity


def of_kind(
    mesh: Mesh, kind: str, *, reached: bool, refused: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return namespace, name and status of all resources of a kind, which is in lower case.

    `reached` is whether all egress Envoys have taken all, `refused` what they have against which of Envoy's resources.
    """
    words = dict(_owners(mesh, refused))
    made = []
    for source in sorted(mesh.owners):
        shape = statuses.shape(source.kind)
        if source.kind.lower() != kind or shape is None:
            continue
        said = (words.get(str(each)) for each in (source, *_parents(mesh, source)))
        outcome = Outcome(
            tuple(_errors(mesh, source)), reached, next((each for each in said if each), "")
        )
        entries = statuses.entries(source, {}, mesh.relations, outcome)
        status = conditions.status({}, shape, entries, Moment(0, ""))
        made.append({"namespace": source.namespace, "name": source.name, "status": status})
    return made


def _errors(mesh: Mesh, source: Source) -> Iterator[str]:
    for each in mesh.assembly.found.get(source, ()):
        if each.severity is Severity.ERROR:
            yield f"{each.path}: {each.message}"


def _parents(mesh: Mesh, source: Source) -> Iterator[Source]:
    """Yield the destinations through which a route reaches Envoy."""
    route = mesh.relations.routes.get(source)
    for parent in route.parents if route else ():
        meant = parent.object
        yield Source(meant.kind, meant.namespace, meant.name)


def _owners(mesh: Mesh, refused: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Yield the resource, as messages name it, that each refused one of Envoy's comes from, and the words."""
    if not refused:
        return
    for name, resources in mesh.programmed.resources.items():
        for each in resources:
            found = mesh.programmed.destinations.get(name)
            if each.name in refused and isinstance(found, External):
                yield found.source, refused[each.name]
