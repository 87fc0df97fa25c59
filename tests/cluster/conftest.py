"""The cluster that tests share, and what they do with it.

A cluster that somebody keeps with `make cluster-up` is used, unless another session does; else one is started, and
stopped at the end. If this process is killed, so is the cluster.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cluster import builds, claims, life
from tests.cluster.caches import Say
from tests.cluster.cluster import EXTERNAL, Cluster
from tests.cluster.commands import ClusterError
from tests.cluster.internet import ClusterInternet
from tests.cluster.node import Node
from tests.cluster.places import COUNT, Place


def pytest_sessionstart(session: pytest.Session) -> None:
    """End here, with the one reason, where several processes were to have a cluster each: they cannot say it."""
    several = session.config.getoption("numprocesses", None) and not os.environ.get(EXTERNAL)
    if several and not hasattr(session.config, "workerinput"):
        try:
            life.require()
            builds.build(say(session.config))
        except ClusterError as error:
            pytest.exit(f"no cluster for these tests: {error}", returncode=1)


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """The cluster; where there cannot be one the session ends, with the one reason."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(_cluster(pytestconfig))
        except ClusterError as error:
            pytest.exit(f"no cluster for these tests: {error}", returncode=1)
        yield found


@pytest.fixture(scope="session")
def internet(cluster: Cluster) -> Iterator[ClusterInternet]:
    """What pods find outside; its `canary` also has their packets, with the address of each pod."""
    with ClusterInternet(cluster.node) as small:
        yield small


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Callable[..., str]:
    """`kubectl("get", "pods", ...)`, with its input as `text`: returns the output, and raises with what it said."""
    return cluster.kubectl


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> Path:
    """The administrator's."""
    return cluster.kubeconfig


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own; `cluster.namespace()` gives more of them, and with labels."""
    with cluster.namespace() as name:
        yield name


@contextlib.contextmanager
def _cluster(config: pytest.Config) -> Iterator[Cluster]:
    if path := os.environ.get(EXTERNAL):
        yield Cluster.external(Path(path))
        return
    life.require()
    builds.build(say(config))
    life.sweep()
    with _kept() as node:
        if node is not None:
            yield Cluster.own(node)
            return
    node = life.start(*claims.first_free(range(1, COUNT)))
    try:
        # Else somebody's `down` may take it away.
        with claims.use(node.place):
            yield Cluster.own(node)
    finally:
        life.stop(node.place, node)


@contextlib.contextmanager
def _kept() -> Iterator[Node | None]:
    """Give the node of the cluster that somebody keeps, for one session at a time."""
    place, node = Place(0), None
    # It may not be there, or just be starting.
    with contextlib.suppress(ClusterError):
        found = Node(place)
        node = found if found.ask("status")["kept"] else None
    with claims.use(place) as alone:
        yield node if alone else None


def say(config: pytest.Config) -> Say:
    """Say at once what takes minutes."""
    capture = config.pluginmanager.get_plugin("capturemanager")

    def tell(what: str) -> None:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            sys.stderr.write(f"\ncluster: {what}\n")

    return tell
