"""A cluster's mesh by its Services alone, for tests that are about these."""

from collections.abc import Iterable, Mapping
from typing import Any

from outgate.kube.mesh import Mesh
from outgate.model.declarations import Source
from outgate.model.names import Name
from outgate.resources.problems import Problem
from outgate.xds.egress import Delta


def source(name: Name) -> Source:
    return Source("Service", name.namespace, name.name)


def update(mesh: Mesh, services: Iterable[tuple[Name, Mapping[str, Any] | None]]) -> Delta:
    return mesh.update((source(name), item) for name, item in services)


def problems(mesh: Mesh) -> dict[Name, tuple[Problem, ...]]:
    places = {each.location.file for each in mesh.all_problems()}
    names = (Name(*each.split("/")[1:]) for each in places)
    return {name: mesh.problems(source(name)) for name in names}
