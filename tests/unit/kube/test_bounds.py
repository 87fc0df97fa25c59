"""What the controller keeps follows what there is, and not what there was; and not the order in which it came."""

import gc
import random
import sys
from typing import Any

from tests.unit.kube.meshes import problems, update

from outgate.kube.controller import SITE
from outgate.kube.mesh import Mesh
from outgate.model.names import Name
from outgate.serve.publishing import Follower, Publisher
from outgate.serve.stream import ORDER
from outgate.serve.subscription import Request
from outgate.settings import Settings
from outgate.xds.clusters import Upstream

OFTEN = 10_000
STAYS, ALSO = Name("default", "stays"), Name("default", "also")


def mesh() -> Mesh:
    return Mesh(SITE, Upstream(Settings(), "/ca.pem", marked=False))


def service(name: Name, number: int, made: str = "") -> dict[str, Any]:
    # One of three has something wrong with it.
    host = "192.0.2.1" if number % 3 == 0 else f"{name.name}.test"
    ports = [{"name": "http", "port": 80 + number % 2}]
    return {
        "metadata": {"name": name.name, "namespace": name.namespace, "creationTimestamp": made},
        "spec": {"type": "ExternalName", "externalName": host, "ports": ports},
    }


def proxy(publisher: Publisher) -> Follower:
    """Return one that wants everything, and answers at once."""
    follower = Follower("egress")
    for each in ORDER:
        follower.stream.receive(each, Request(), publisher.snapshot)
    publisher.followers.add(follower)
    return follower


def answer(follower: Follower, publisher: Publisher) -> None:
    while found := follower.stream.next(publisher.snapshot, publisher.revision):
        type_url, response = found
        # One that refuses costs no more.
        error = "no" if response.resources and int(response.nonce) % 7 == 0 else ""
        request = Request(nonce=response.nonce, error=error)
        follower.stream.receive(type_url, request, publisher.snapshot)


def test_services_that_come_and_go_leave_nothing() -> None:
    own, publisher = mesh(), Publisher()
    publisher.publish(own.start().changed)
    # These stay; their ports are those of the others.
    staying = [(name, service(name, number)) for number, name in ((1, STAYS), (2, ALSO))]
    publisher.publish(update(own, staying).changed)
    follower = proxy(publisher)
    blocks: list[int] = []
    for number in range(OFTEN):
        name = Name(f"ns-{number}", f"s-{number}")
        for value in (service(name, number), None):
            delta = update(own, [(name, value)])
            publisher.publish(delta.changed, delta.removed)
            answer(follower, publisher)
        if number in (OFTEN // 10, OFTEN - 1):
            gc.collect()
            blocks.append(sys.getallocatedblocks())
    assert problems(own) == {}
    assert own.programmed.destinations.keys() == {STAYS, ALSO}
    # Nine thousand services took place between the two; one leaves more than ten blocks, if it leaves anything.
    assert blocks[1] - blocks[0] < OFTEN / 5


def test_every_replica_comes_to_the_same() -> None:
    names = [Name("default", f"s-{number}") for number in range(300)]
    random.Random(7).shuffle(names)  # noqa: S311 - an order, not a secret
    values = {
        name: service(name, number, made=f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z")
        for number, name in enumerate(names)
    }
    # One that was there as they were made, and one that lists them later.
    ways = ([[each] for each in values.items()], [sorted(values.items())])
    versions = []
    for batches in ways:
        own, publisher = mesh(), Publisher()
        publisher.publish(own.start().changed)
        for batch in batches:
            delta = update(own, batch)
            publisher.publish(delta.changed, delta.removed)
        of_type = publisher.snapshot.of_type
        versions.append([(kind, of_type(kind)) for kind in ORDER])
    assert versions[0] == versions[1]
