"""What the controller follows with, against a real API server: a watch goes on where it was, and nothing is missed."""

import asyncio
import base64
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from lightkube import AsyncClient, KubeConfig
from tests.cluster.cluster import Cluster

from outgate.kube import client as api
from outgate.kube import kinds
from outgate.kube.client import Scope
from outgate.kube.watching import Changes, Follower

pytestmark = pytest.mark.cluster

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec: {type: ExternalName, externalName: NAME.test}
"""


class Seen:
    """The Services of a namespace, as a follower tells of them."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.names: set[str] = set()
        self.client = AsyncClient(KubeConfig.from_file(cluster.kubeconfig))
        self.follower = Follower(self.client, kinds.SERVICE, self._take, Scope(namespace))

    def _take(self, changes: Changes) -> None:
        for name, item in changes.items():
            (self.names.discard if item is None else self.names.add)(name.name)

    @property
    def version(self) -> str:
        return self.follower._version

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not is_so():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.02)


def make(cluster: Cluster, namespace: str, *names: str) -> None:
    cluster.apply(*(SERVICE.replace("NAME", each) for each in names), namespace=namespace)


async def stir(cluster: Cluster) -> None:
    """Change Services elsewhere, until cancelled: a bookmark tells of what was changed since its watch began."""
    with cluster.namespace() as elsewhere:
        for number in itertools.count():
            await asyncio.to_thread(make, cluster, elsewhere, f"other-{number}")
            await asyncio.sleep(0.2)


async def test_a_watch_in_which_nothing_happens_goes_on(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes elsewhere would make its version too old, but for bookmarks; the server sends one before a watch ends."""
    monkeypatch.setattr(api, "WATCH_SECONDS", 4)
    seen = Seen(cluster, namespace)
    make(cluster, namespace, "one")
    async with asyncio.TaskGroup() as group:
        others = [group.create_task(each) for each in (seen.follower.run(), stir(cluster))]
        await seen.until(lambda: seen.names == {"one"})
        # In the watch after the first, too.
        for _ in range(2):
            before = seen.version
            await seen.until(lambda: seen.version != before)  # noqa: B023
        await asyncio.to_thread(make, cluster, namespace, "two")
        await seen.until(lambda: seen.names == {"one", "two"})
        for each in others:
            each.cancel()
    await seen.client.close()
    assert seen.follower.lists == 1


def delete_unseen(cluster: Cluster, namespace: str, name: str) -> None:
    """Delete a Service where no API server tells of it, and have etcd forget that it was there."""

    def ask(path: str, **words: object) -> dict[str, Any]:
        url = f"http://127.0.0.1:2379/v3/kv/{path}"
        found = json.loads(cluster.node.run("curl", "-sSf", url, "-d", json.dumps(words)))
        return dict(found)

    key = base64.b64encode(f"/registry/services/specs/{namespace}/{name}".encode()).decode()
    deleted = ask("deleterange", key=key)
    assert deleted["deleted"] == "1"
    ask("compaction", revision=deleted["header"]["revision"], physical=True)


async def test_what_was_missed_is_noticed(cluster: Cluster, namespace: str) -> None:
    seen = Seen(cluster, namespace)
    make(cluster, namespace, "stays", "goes")
    async with asyncio.TaskGroup() as group:
        following = group.create_task(seen.follower.run())
        await seen.until(lambda: seen.names == {"stays", "goes"})
        # The follower's loop stands still while this one waits for commands: it is cut off, and sees nothing.
        cluster.stop("kube-apiserver")
        delete_unseen(cluster, namespace, "goes")
        cluster.start("kube-apiserver")
        make(cluster, namespace, "comes")
        await seen.until(lambda: seen.names == {"stays", "comes"})
        following.cancel()
    await seen.client.close()
    # The version that it had was too old to go on from.
    assert seen.follower.lists == 2
