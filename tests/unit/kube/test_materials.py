"""What Secrets and ConfigMaps of a cluster hold, and that files are none of a cluster's business."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import httpx2
import pytest

from outgate.kube import client as api
from outgate.kube import materials
from outgate.kube.client import Client
from outgate.kube.controller import SITE
from outgate.kube.materials import REFUSED, Fetched, values
from outgate.kube.mesh import Mesh
from outgate.model.declarations import Source
from outgate.settings import Settings
from outgate.traffic.references import ConfigMapKey, SecretKey
from outgate.xds.clusters import Upstream
from outgate.xds.materials import describe
from outgate.xds.secrets import SECRET

SOURCE = Source("ExternalService", "ns", "e")
KEY = SecretKey("ns", "ca", "ca.crt")


def resource(ca: dict[str, Any]) -> dict[str, Any]:
    port = {"port": 80, "protocol": "HTTP", "tls": {"ca": ca}}
    return {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "ExternalService",
        "metadata": {"name": "e", "namespace": "ns"},
        "spec": {"hosts": ["api.example.com"], "ports": [port]},
    }


def mesh() -> Mesh:
    return Mesh(SITE, Upstream(Settings(), "/ca.pem", marked=False))


def test_entries_are_read_as_each_kind_has_them() -> None:
    item = {"data": {"a": "eA==", "b": "not base64!"}, "binaryData": {"c": "eQ=="}}
    assert values(item, SecretKey) == {"a": b"x"}
    assert values(item, ConfigMapKey) == {"a": b"eA==", "b": b"not base64!", "c": b"y"}
    assert values(None, SecretKey) == {}


def test_a_file_is_refused_in_a_cluster() -> None:
    own = mesh()
    own.update([(SOURCE, resource({"file": "/var/run/secrets/token"}))])
    (problem,) = own.problems(SOURCE)
    assert problem.message == (
        "/var/run/secrets/token is a file, and in a cluster certificates and credentials are in Secrets"
    )
    assert own.programmed.destinations == {}


def test_what_a_secret_holds_is_served_and_what_is_missing_is_said() -> None:
    own = mesh()
    own.update([(SOURCE, resource({"secretRef": {"name": "ca", "key": "ca.crt"}}))])
    assert [each.message for each in own.problems(SOURCE)] == [
        f"there is no {describe(KEY)}: calls that need it fail"
    ]
    assert own.vault.materials() == {KEY}
    delta = own.update_materials([(KEY, b"-----BEGIN CERTIFICATE-----\nx")])
    assert not delta.changed
    assert "has no certificates in PEM" in own.problems(SOURCE)[0].message
    own.update([(SOURCE, None)])
    assert own.vault.materials() == set()
    assert all(each.type_url != SECRET for each in own.update_materials([(KEY, None)]).changed)


def test_what_may_not_be_read_is_said_with_what_to_do_and_what_was_read_goes_on() -> None:
    own = mesh()
    own.update([(SOURCE, resource({"secretRef": {"name": "ca", "key": "ca.crt"}}))])
    own.close_materials({KEY: "may not"})
    assert [each.message for each in own.problems(SOURCE)] == [
        f"{describe(KEY)} cannot be had, as may not: calls that need it fail"
    ]
    own.update_materials([(KEY, None)])
    assert [each.message for each in own.problems(SOURCE)] == [
        f"there is no {describe(KEY)}: calls that need it fail"
    ]
    assert "kubectl create rolebinding outgate-materials --namespace ns" in REFUSED.format(
        namespace="ns"
    )


def policy(name: str, secret: str) -> tuple[Source, dict[str, Any]]:
    credential = {"secretRef": {"name": secret, "key": "token"}}
    item = {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "EgressPolicy",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"rules": [{"to": [{"host": "api.example.com"}], "credential": credential}]},
    }
    return Source("EgressPolicy", "ns", name), item


def test_when_a_secret_comes_or_goes_it_is_said_anew_of_those_that_name_it() -> None:
    own = mesh()
    (p, first), (q, second) = policy("p", "one"), policy("q", "two")
    one, two = SecretKey("ns", "one", "token"), SecretKey("ns", "two", "token")
    own.update([(p, first), (q, second)])
    own.update_materials([(one, b"x")])
    own.update([])
    assert p in own.affected
    assert own.problems(p) == ()
    assert [each.message for each in own.problems(q)] == [
        f"there is no {describe(two)}: calls that need it fail"
    ]
    own.update_materials([(one, b"y")])
    own.update([])
    assert own.affected == set()
    own.update_materials([(one, None)])
    own.update([])
    assert p in own.affected
    assert len(own.problems(p)) == 1


@pytest.mark.parametrize("code", [0, 403])
async def test_it_is_waited_for_until_all_is_known(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    gate, told = asyncio.Event(), list[Any]()

    async def listed(*_: Any) -> tuple[list[Any], str]:
        await gate.wait()
        if code:
            asked = httpx2.Request("GET", "https://kubernetes/")
            raise httpx2.HTTPStatusError("no", request=asked, response=httpx2.Response(code))
        return [], "1"

    async def follow(*_: Any) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(api, "listed", listed)
    monkeypatch.setattr(api, "follow", follow)
    fetched = Fetched(cast("Client", None), told.append, told.append)
    fetched.want({KEY})
    async with asyncio.TaskGroup() as group:
        running = group.create_task(fetched.run())
        waiting = group.create_task(fetched.settled())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        gate.set()
        await asyncio.wait_for(waiting, 5)
        running.cancel()
    assert [set(each) for each in told] == [{KEY}]


async def test_what_is_refused_for_long_is_taken_away_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = {"metadata": {"name": "ca", "namespace": "ns"}, "data": {"ca.crt": "eA=="}}
    allowed, over = asyncio.Event(), asyncio.Event()
    allowed.set()

    async def listed(*_: Any) -> tuple[list[Any], str]:
        if not allowed.is_set():
            asked = httpx2.Request("GET", "https://kubernetes/")
            raise httpx2.HTTPStatusError("no", request=asked, response=httpx2.Response(403))
        return [secret], "1"

    async def follow(*_: Any) -> AsyncIterator[Any]:
        await over.wait()
        await listed()
        yield "BOOKMARK", secret | {"metadata": {"resourceVersion": "2"}}

    monkeypatch.setattr(api, "listed", listed)
    monkeypatch.setattr(api, "follow", follow)
    monkeypatch.setattr(materials, "TAKEN_SECONDS", 0.5)
    taken, closed = list[Any](), list[Any]()
    fetched = Fetched(cast("Client", None), taken.append, closed.append)
    fetched.want({KEY})
    running = asyncio.create_task(fetched.run())
    await until(lambda: taken == [{KEY: b"x"}])
    # The server's watch ends, and the right is gone.
    allowed.clear()
    over.set()
    await until(lambda: closed)
    assert taken == [{KEY: b"x"}], "an API server that begins refuses for a moment"
    await until(lambda: taken[1:] == [{KEY: None}])
    assert closed[-1] == {KEY: REFUSED.format(namespace="ns")}
    over.clear()
    allowed.set()
    await until(lambda: taken[2:] == [{KEY: b"x"}])
    running.cancel()


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - somebody else's state
            await asyncio.sleep(0.02)
