"""Fixtures for policies in a cluster: a namespace that the tests of a file share, without any policy between them."""

from collections.abc import Iterator

import pytest
from tests.cluster.mesh.apps import App
from tests.cluster.mesh.conftest import Mesh
from tests.cluster.mesh.policy.spaces import BUILDER, Space
from tests.outside.calling import until
from tests.outside.control import Outside

OPENED = ("web", "wild")


@pytest.fixture(scope="module")
def outside(outside: Outside) -> Iterator[Outside]:
    outside.open(*OPENED)
    yield outside
    for each in OPENED:
        outside.internet.pause(each)


@pytest.fixture(scope="module")
def shared(mesh: Mesh, outside: Outside) -> Iterator[Space]:
    assert outside
    with mesh.cluster.namespace() as name:
        yield Space(mesh, name)


@pytest.fixture
def space(shared: Space) -> Iterator[Space]:
    """The namespace, without any policy before and after."""
    yield shared
    shared.delete("egresspolicy", "--all")
    assert until(lambda: shared.status("http://ws/") == 200, 30)


@pytest.fixture
def builder(space: Space) -> Iterator[App]:
    """A second pod of the namespace: other labels, and a service account of its own."""
    mesh, namespace = space.mesh, space.namespace
    pod = mesh.inject(BUILDER)
    mesh.cluster.apply(pod, namespace=namespace)
    mesh.cluster.wait("Ready", "pod/builder", namespace=namespace)
    yield App(mesh, namespace, "builder")
    mesh.cluster.kubectl("delete", "pod", "builder", "-n", namespace, "--wait=false")
