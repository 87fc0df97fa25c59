"""The way to the controller that proxies have, for tests that go it themselves."""

import asyncio
from typing import Any

import grpc
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
        for _ in range(3):
            # The client says so itself where it is refused while it is writing.
            if (answer := asyncio.run(self._ask(node, token))) != grpc.StatusCode.INTERNAL:
                break
        return answer

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
