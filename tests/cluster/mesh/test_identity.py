"""A proxy is what its pod's token proves: tests claim to be somebody else, with real tokens of a real API server."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from tests.cluster.mesh.conftest import SYSTEM, Mesh

from outgate.serve.stream import CLUSTER
from outgate.xds.protos import ads, discovery

POD = """
apiVersion: v1
kind: Pod
metadata: {name: PLACEHOLDER}
spec:
  containers: [{name: app, image: localhost/net:1, imagePullPolicy: Never, command: [sleep, infinity]}]
  terminationGracePeriodSeconds: 0
"""


class Door:
    """The way to the controller, as a proxy has it."""

    def __init__(self, mesh: Mesh, namespace: str) -> None:
        self.mesh, self.namespace = mesh, namespace
        get = ("get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=outgate-controller")
        self.address = mesh.cluster.kubectl(*get, "-o=jsonpath={.items[0].status.podIP}")
        path = "-o=jsonpath={.data.ca\\.pem}"
        self.roots = mesh.cluster.kubectl("get", "cm", "outgate", "-n", namespace, path).encode()

    def token(self, pod: str, *flags: str, namespace: str = "", account: str = "default") -> str:
        bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}") if pod else ()
        where = ("-n", namespace or self.namespace)
        return self.mesh.cluster.kubectl("create", "token", account, *where, *bound, *flags)

    def ask(self, node: str, token: str) -> Any:
        """Return the first clusters that a proxy gets, or the status with which it is refused."""
        return asyncio.run(self._ask(node, token))

    async def _ask(self, node: str, token: str) -> Any:
        credentials = grpc.ssl_channel_credentials(self.roots)
        options = [("grpc.ssl_target_name_override", f"outgate.{SYSTEM}.svc")]
        request = discovery.DeltaDiscoveryRequest(type_url=CLUSTER)
        request.node.id = node
        metadata = [("authorization", f"Bearer {token}")] if token else []
        async with grpc.aio.secure_channel(
            f"{self.address}:15012", credentials, options
        ) as channel:
            stub = ads.AggregatedDiscoveryServiceStub(channel)
            call = stub.DeltaAggregatedResources(metadata=metadata)
            try:
                await call.write(request)
                answer = await asyncio.wait_for(call.read(), 10)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                answer = grpc.aio.EOF
            if answer is grpc.aio.EOF:
                return await call.code()
            return {each.name for each in answer.resources}


AUDIENCE = "--audience=outgate"
REFUSED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture(scope="module")
def door(mesh: Mesh) -> Iterator[Door]:
    with mesh.cluster.namespace() as name:
        pods = [POD.replace("PLACEHOLDER", each) for each in ("mine", "other")]
        mesh.cluster.apply(*pods, namespace=name)
        mesh.cluster.wait("Ready", "pod/mine", "pod/other", namespace=name)
        yield Door(mesh, name)


def test_a_pod_gets_its_own(door: Door) -> None:
    token = door.token("mine", AUDIENCE)
    assert door.ask(f"sidecar~mine.{door.namespace}", token) == {
        "egress",
        "direct",
        "resolver",
        "resolver-forward",
    }


def test_a_pod_is_nobody_else(door: Door) -> None:
    token = door.token("mine", AUDIENCE)
    for node in (
        f"sidecar~other.{door.namespace}",
        "sidecar~mine.default",
        f"egress~mine.{SYSTEM}",
        "egress",
        "",
    ):
        assert door.ask(node, token) == REFUSED, node


def test_a_token_for_something_else_is_none(door: Door) -> None:
    node = f"sidecar~mine.{door.namespace}"
    for token in (
        # What every pod has for the API server, and what is bound to no pod.
        door.token("mine"),
        door.token("", AUDIENCE),
        door.token("mine", "--audience=other"),
        door.token("mine", AUDIENCE)[:-5],
        "",
    ):
        assert door.ask(node, token) == REFUSED


def test_a_token_ends_with_its_pod(door: Door) -> None:
    door.mesh.cluster.apply(POD.replace("PLACEHOLDER", "gone"), namespace=door.namespace)
    token = door.token("gone", AUDIENCE)
    node = f"sidecar~gone.{door.namespace}"
    assert door.ask(node, token) == {"egress", "direct", "resolver", "resolver-forward"}
    door.mesh.cluster.kubectl("delete", "pod", "gone", "-n", door.namespace, "--wait=true")
    # The API server remembers for ten seconds that a token was good.
    deadline = time.monotonic() + 20
    while (answer := door.ask(node, token)) != REFUSED and time.monotonic() < deadline:
        time.sleep(1)
    assert answer == REFUSED


def test_the_egress_takes_no_tunnel_without_a_certificate(door: Door) -> None:
    get = ("get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=outgate-egress")
    address = door.mesh.cluster.kubectl(*get, "-o=jsonpath={.items[0].status.podIP}")
    command = ["curl", "-sk", "--http2", "--max-time", "5", f"https://{address}:15008/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # With TLS 1.3 the refusal may come with the first answer.
    assert done.returncode in (16, 35, 55, 56), done
    assert done.stdout == ""
