"""Answers and objects as no sound API server gives them: none of them may end the controller, or go unsaid.

The server here is not a real one: a real one cannot be made to say such things.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap

from outgate.errors import UsageError
from outgate.kube import client as api
from outgate.kube import kinds, places, ranges
from outgate.kube.client import Client
from outgate.kube.surroundings import require_ranges
from outgate.kube.watching import Changes, Follower
from outgate.model.names import Name

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}]
clusters: [{name: a, cluster: {server: "URL"}}]
users: [{name: a, user: {token: a}}]
"""
STATUS = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "code": 404}


class Server:
    """Answers each call with what a test has put in line, and with the last of it for ever."""

    client: Client

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def say(self, body: Any, status: int = 200, kind: str | None = "application/json") -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(text)}\r\nConnection: close\r\n"
        if kind is not None:
            head += f"Content-Type: {kind}\r\n"
        self.answers.append(head.encode() + b"\r\n" + text)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(b"\r")[0]
            await reader.readexactly(int(length or 0))
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
        writer.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    file = tmp_path / "kubeconfig"
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    file.write_text(KUBECONFIG.replace("URL", url))
    made.client = api.connect(str(file))
    yield made
    await made.client.close()
    listening.close()


def node(name: str | None, *cidrs: Any) -> dict[str, Any]:
    metadata = {"resourceVersion": "5"} | ({"name": name} if name else {})
    return {"metadata": metadata, "spec": {"podCIDRs": list(cidrs)}}


def listed(*items: Any) -> dict[str, Any]:
    return {"kind": "NodeList", "metadata": {"resourceVersion": "4"}, "items": list(items)}


@contextlib.asynccontextmanager
async def following(
    server: Server, changed: Callable[[Changes], None], kind: Any = kinds.NODE
) -> AsyncIterator[Follower]:
    follower = Follower(server.client, kind, changed)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follower.run())
        yield follower
        assert not task.done()
        task.cancel()


BAD_ANSWERS: tuple[tuple[Any, int, str | None], ...] = (
    (b"<html>bad gateway</html>", 502, "text/html"),
    (b"bad gateway", 502, None),
    (b"<html>", 404, "application/json"),
    (b"[]", 500, "application/json"),
    (STATUS, 503, "application/json; charset=utf-8"),
    (b"<html>all is well</html>", 200, "text/html"),
    (b"", 200, None),
    (b"null", 200, "application/json"),
    ({"items": 7}, 200, "application/json"),
    ({"items": [], "metadata": 7}, 200, "application/json"),
)


@pytest.mark.parametrize(("body", "status", "kind"), BAD_ANSWERS)
async def test_after_an_answer_that_cannot_be_read_it_is_tried_again(
    server: Server, body: Any, status: int, kind: str | None
) -> None:
    server.say(body, status, kind)
    server.say(listed(node("a", "10.244.0.0/24")))
    found: dict[Name, Any] = {}
    async with following(server, found.update) as follower:
        await asyncio.wait_for(follower.synced.wait(), 5)
        while not found:  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)
    assert set(found) == {Name("", "a")}


async def test_what_is_forbidden_is_said_once_until_it_is_allowed(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        server.say(STATUS | {"code": 403}, 403)
    server.say(listed())
    async with following(server, lambda _: None) as follower:
        await asyncio.wait_for(follower.synced.wait(), 5)
    assert caplog.text.count("following Node: no") == 1


@pytest.mark.parametrize(
    "line",
    [b"<html>", b"7", b"{}", b'{"type":"ADDED"}', b'{"type":"ADDED","object":7}', b'{"type":"ADDED","object":{}}',
     b'{"type":"ERROR","object":{}}', b'{"type":"ERROR","object":{"code":"x"}}'],
)  # fmt: skip
async def test_a_watch_that_says_nonsense_goes_on(server: Server, line: bytes) -> None:
    server.say(listed())
    server.say(line + b"\n")
    server.say({"type": "ADDED", "object": node("late")})
    found: dict[Name, Any] = {}
    async with following(server, found.update):
        async with asyncio.timeout(5):
            while not found:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.01)


async def test_a_write_that_is_answered_with_nonsense_is_trouble(server: Server) -> None:
    client = server.client
    for body, status, kind in BAD_ANSWERS[:7]:
        server.answers.clear()
        server.say(body, status, kind)
        with pytest.raises(api.TROUBLE) as caught:
            await client.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="b")))
        assert api.code(caught.value) == (status if status >= 400 else 0)
    server.answers.clear()
    server.say(STATUS, 404)
    with pytest.raises(api.ApiError, match="no"):
        await client.get(ConfigMap, "a", namespace="b")


async def test_an_object_that_cannot_be_taken_in_is_a_problem_of_its_own(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    found: dict[Name, Any] = {}

    def take(changes: Changes) -> None:
        for name, item in changes.items():
            if item is not None:
                found[name] = item["spec"]["podCIDRs"]

    server.say(listed(node("a"), {"metadata": {"name": "odd"}}, node("b"), node(None)))
    server.say({"type": "ADDED", "object": {"metadata": {"name": "late", "resourceVersion": "6"}}})
    async with following(server, take) as follower:
        await asyncio.wait_for(follower.synced.wait(), 5)
        async with asyncio.timeout(5):
            while "late" not in caplog.text:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.01)
    assert set(found) == {Name("", "a"), Name("", "b")}
    assert "Node odd" in caplog.text
    assert "cannot be taken in: KeyError: 'spec'" in caplog.text
    assert caplog.text.count("passed over an object without a name") == 1


def test_ranges_that_are_none_are_said_and_passed_over() -> None:
    odd = node("a", "10.244.0.0/24", "10.244.7.5/24", "010.0.0.0/8", "x", 7, None, "fd00::/64")
    assert ranges.written(
        ranges.pods([odd, {"spec": 7}, {"spec": {"podCIDRs": "10.0.0.0/8"}}])
    ) == ("10.244.0.0/24\n10.244.7.0/24\nfd00::/64\n")
    said = ranges.problems(odd)
    assert [each.split(" is ")[0] for each in said] == [
        "spec.podCIDRs: '010.0.0.0/8'",
        "spec.podCIDRs: 'x'",
        "spec.podCIDRs: 7",
        "spec.podCIDRs: None",
    ]


def test_places_that_are_no_addresses_are_passed_over() -> None:
    endpoints = [{"addresses": ["10.0.0.1", "010.0.0.2", "egress.example", 7, None]}]
    assert places.chosen([{"addressType": "IPv4", "endpoints": endpoints}]) == ("10.0.0.1:15008",)


async def test_before_service_cidrs_it_is_said_what_to_do(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.say(STATUS, 404)
    async with following(server, lambda _: None, kinds.SERVICE_CIDR) as follower:
        await asyncio.wait_for(follower.synced.wait(), 5)
        assert follower.absent.is_set()
    assert "this Kubernetes has no ServiceCIDR" in caplog.text
    nodes = [node("a", "10.244.0.0/24")]
    with pytest.raises(UsageError, match=r"from 1.33 on \(outgate install --cluster-ranges="):
        require_ranges((), nodes, absent=True)
    with pytest.raises(UsageError, match="no ServiceCIDR says"):
        require_ranges((), nodes, absent=False)
