"""What the controller does with proxies whose pod has gone, with odd nodes, and with annotations without end."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from tests.cluster.commands import ClusterError
from tests.cluster.mesh.conftest import SYSTEM, Mesh
from tests.cluster.mesh.doors import AUDIENCE, POD, Door
from tests.cluster.mesh.operating import set_

from outgate.serve.stream import CLUSTER
from outgate.xds.protos import ads, discovery

NODE = """
apiVersion: v1
kind: Node
metadata: {name: odd}
spec: {podCIDR: 10.250.1.7/24, podCIDRs: [10.250.1.7/24], unschedulable: true}
"""


@pytest.fixture
def often(mesh: Mesh) -> Iterator[None]:
    """Have tokens judged again after a second."""
    set_(mesh, "OUTGATE_TOKEN_REVIEW_SECONDS=1")
    yield
    set_(mesh, "OUTGATE_TOKEN_REVIEW_SECONDS-")


def ready(mesh: Mesh) -> str:
    """Return the address of the controller that is ready."""
    get = ("get", "endpoints", "-n", SYSTEM, "outgate", "-o=jsonpath={.subsets[0].addresses[0].ip}")
    return mesh.cluster.kubectl(*get)


@pytest.mark.usefixtures("often")
def test_a_stream_does_not_outlive_its_pod(mesh: Mesh) -> None:
    with mesh.cluster.namespace() as name:
        mesh.cluster.apply(POD.replace("PLACEHOLDER", "gone"), namespace=name)
        door = Door(mesh, name)
        door.address = ready(mesh)
        asyncio.run(_hold(door, door.token("gone", AUDIENCE)))


async def _hold(door: Door, token: str) -> None:
    credentials = grpc.ssl_channel_credentials(door.roots)
    options = [("grpc.ssl_target_name_override", f"outgate.{SYSTEM}.svc")]
    request = discovery.DeltaDiscoveryRequest(type_url=CLUSTER)
    request.node.id = f"sidecar~gone.{door.namespace}"
    async with grpc.aio.secure_channel(f"{door.address}:15012", credentials, options) as channel:
        stub = ads.AggregatedDiscoveryServiceStub(channel)
        call: Any = stub.DeltaAggregatedResources(metadata=[("authorization", f"Bearer {token}")])
        await call.write(request)
        assert (await asyncio.wait_for(call.read(), 10)).resources
        # Several judgements later it is there still.
        await asyncio.sleep(4)
        assert not call.done()
        delete = ("delete", "pod", "gone", "-n", door.namespace, "--wait=true")
        await asyncio.to_thread(door.mesh.cluster.kubectl, *delete)
        # The API server remembers for ten seconds that a token was good.
        async with asyncio.timeout(20):
            assert await call.code() == grpc.StatusCode.UNAUTHENTICATED
        assert "proves its pod no more" in await call.details()


def test_a_node_with_an_odd_range_ends_nothing(mesh: Mesh) -> None:
    before = mesh.logs("outgate-controller").count("inside the cluster are")
    mesh.cluster.apply(NODE)
    try:
        for _ in range(50):
            lines = mesh.logs("outgate-controller").splitlines()
            said = [each for each in lines if "inside the cluster are" in each]
            if len(said) > before:
                break
            time.sleep(0.2)
        assert "10.250.1.0/24" in said[-1]
        get = (
            "get",
            "pods",
            "-n",
            SYSTEM,
            "-o=jsonpath={.items[*].status.containerStatuses[*].restartCount}",
        )
        assert set(mesh.cluster.kubectl(*get).split()) == {"0"}
    finally:
        mesh.cluster.kubectl("delete", "node", "odd")


def test_an_annotation_without_end_is_refused_in_words(mesh: Mesh) -> None:
    ranges = ",".join(["10.0.0.0/8"] * 1000)
    with mesh.cluster.namespace() as name:
        mesh.cluster.kubectl("label", "namespace", name, "outgate.dev/inject=enabled")
        annotated = POD.replace(
            "{name: PLACEHOLDER}",
            f"{{name: long, annotations: {{outgate.dev/exclude-ip-ranges: '{ranges}'}}}}",
        )
        with pytest.raises(ClusterError, match=r"has 10999 characters .at most 8192"):
            mesh.cluster.apply(annotated, namespace=name)
