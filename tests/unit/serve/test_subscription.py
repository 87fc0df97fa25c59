"""What a proxy gets for what it says, one type on one stream."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from outgate.serve.subscription import Request, Response
from outgate.xds.snapshot import Resource

TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"

Connect = Callable[..., Any]
"""Makes a proxy that subscribes to one type; see `conftest.Proxy`."""


def resource(name: str, content: str = "1", *, on_demand: bool = False) -> Resource:
    value = content.encode()
    return Resource(TYPE, name, hashlib.blake2b(value).hexdigest()[:16], value, on_demand)


def names(response: Response | None) -> list[str]:
    assert response is not None
    return [each.name for each in response.resources]


@pytest.mark.parametrize("subscribe", [(), ("*",)])
def test_wildcard_gets_everything_but_what_is_on_demand(
    connect: Connect, subscribe: tuple[str, ...]
) -> None:
    proxy = connect(resource("a"), resource("b"), resource("later", on_demand=True))
    assert names(proxy.says(subscribe=subscribe)) == ["a", "b"]


def test_wildcard_on_nothing_is_answered_since_start_up_waits_for_it(connect: Connect) -> None:
    proxy = connect()
    response = proxy.says()
    assert response is not None
    assert (response.resources, response.removed) == ((), ())
    assert proxy.accepts(response) is None


def test_by_name_gets_only_that_name(connect: Connect) -> None:
    proxy = connect(resource("a"), resource("b"))
    response = proxy.says(subscribe=("a",))
    assert names(response) == ["a"]
    proxy.accepts(response)
    assert proxy.change(resource("b", "2")) is None
    assert names(proxy.change(resource("a", "2"))) == ["a"]


def test_what_is_on_demand_comes_when_asked_for_beside_the_wildcard(connect: Connect) -> None:
    proxy = connect(resource("a"), resource("later", on_demand=True))
    proxy.accepts(proxy.says(subscribe=("*",)))
    response = proxy.says(subscribe=("later",))
    assert names(response) == ["later"]
    proxy.accepts(response)
    assert names(proxy.change(resource("later", "2", on_demand=True))) == ["later"]


def test_what_another_replica_sent_eagerly_stays_and_follows(connect: Connect) -> None:
    proxy = connect(resource("a"), resource("b", on_demand=True))
    versions = {each: resource(each).version for each in ("a", "b")}
    assert proxy.says(subscribe=("*",), initial_versions=versions) is None
    response = proxy.change(resource("b", "2", on_demand=True))
    assert names(response) == ["b"]
    proxy.accepts(response)
    gone = proxy.change(removed=("b",))
    assert gone is not None
    assert gone.removed == ("b",)


def test_an_unknown_name_is_answered_at_once_and_sent_when_it_appears(connect: Connect) -> None:
    proxy = connect()
    proxy.accepts(proxy.says(subscribe=("*",)))
    response = proxy.says(subscribe=("later",))
    assert response is not None
    assert response.removed == ("later",)
    proxy.accepts(response)
    assert names(proxy.change(resource("later", on_demand=True))) == ["later"]


def test_asking_again_is_answered_again(connect: Connect) -> None:
    proxy = connect(resource("a"))
    proxy.accepts(proxy.says(subscribe=("*",)))
    assert names(proxy.says(subscribe=("a",))) == ["a"]


def test_unsubscribing_from_a_name_that_the_wildcard_covers_is_answered_with_it(
    connect: Connect,
) -> None:
    proxy = connect(resource("a"), resource("later", on_demand=True))
    proxy.accepts(proxy.says(subscribe=("*", "a", "later")))
    response = proxy.says(unsubscribe=("a", "later"))
    assert names(response) == ["a"]
    assert response is not None
    assert response.removed == ("later",)


def test_after_unsubscribing_changes_are_not_sent(connect: Connect) -> None:
    proxy = connect(resource("a"), resource("b"))
    proxy.accepts(proxy.says(subscribe=("a", "b")))
    assert proxy.says(unsubscribe=("a",)) is None
    assert proxy.change(resource("a", "2")) is None
    assert proxy.change(removed=["a"]) is None
    assert names(proxy.change(resource("b", "2"))) == ["b"]


def test_after_unsubscribing_from_everything_names_go_on(connect: Connect) -> None:
    proxy = connect(resource("a"), resource("b"))
    proxy.accepts(proxy.says(subscribe=("*", "a")))
    assert proxy.says(unsubscribe=("*",)) is None
    assert proxy.change(resource("b", "2")) is None
    assert names(proxy.change(resource("a", "2"))) == ["a"]


def test_a_removal_is_sent_once_and_only_to_those_who_had_it(connect: Connect) -> None:
    proxy = connect(resource("a"), resource("later", on_demand=True))
    proxy.accepts(proxy.says())
    assert proxy.change(removed=["later"]) is None
    response = proxy.change(removed=["a"])
    assert response is not None
    assert response.removed == ("a",)
    assert proxy.accepts(response) is None


def test_reconnecting_gets_only_what_differs(connect: Connect) -> None:
    proxy = connect(resource("same"), resource("changed", "2"), resource("new"))
    versions = {
        "same": resource("same").version,
        "changed": resource("changed").version,
        "gone": "0",
    }
    response = proxy.says(subscribe=("*",), initial_versions=versions)
    assert names(response) == ["changed", "new"]
    assert response is not None
    assert response.removed == ("gone",)


def test_reconnecting_with_everything_gets_nothing(connect: Connect) -> None:
    proxy = connect(resource("a"), resource("later", on_demand=True))
    versions = {name: resource(name).version for name in ("a", "later")}
    assert proxy.says(subscribe=("*", "later"), initial_versions=versions) is None
    assert proxy.subscription.acknowledged == proxy.revision
    assert names(proxy.change(resource("later", "2", on_demand=True))) == ["later"]


def test_one_response_at_a_time_and_changes_meanwhile_become_one(connect: Connect) -> None:
    proxy = connect(resource("a"))
    first = proxy.says()
    assert proxy.change(resource("a", "2")) is None
    assert proxy.change(resource("a", "3"), resource("b")) is None
    assert proxy.change(removed=["b"]) is None
    second = proxy.accepts(first)
    assert second is not None
    assert second.resources == (resource("a", "3"),)
    assert second.removed == ()
    assert proxy.accepts(second) is None


def test_a_change_and_back_while_waiting_is_no_change(connect: Connect) -> None:
    proxy = connect(resource("a"))
    first = proxy.says()
    proxy.change(resource("a", "2"))
    proxy.change(resource("a"))
    assert proxy.accepts(first) is None


def test_an_old_nonce_is_no_answer(connect: Connect) -> None:
    proxy = connect(resource("a"))
    first = proxy.says()
    assert proxy.accepts(first) is None
    second = proxy.change(resource("a", "2"))
    assert proxy.refuses(first, "a: bad") is None
    assert proxy.subscription.is_waiting
    assert proxy.refused() == []
    proxy.accepts(second)
    assert not proxy.subscription.is_waiting


def test_removals_held_back_come_later_and_are_not_acknowledged_before(connect: Connect) -> None:
    proxy = connect(resource("a"), resource("b"))
    proxy.accepts(proxy.says())
    proxy.snapshot = proxy.snapshot.replace([resource("c")], [(TYPE, "a")])
    proxy.revision += 1
    proxy.subscription.change(["a", "c"])
    response = proxy.next(hold_removals=True)
    assert names(response) == ["c"]
    assert response is not None
    assert response.removed == ()
    proxy.subscription.receive(Request(nonce=response.nonce), proxy.snapshot)
    assert proxy.next(hold_removals=True) is None
    assert proxy.subscription.acknowledged < proxy.revision
    response = proxy.next()
    assert response is not None
    assert response.removed == ("a",)
    proxy.accepts(response)
    assert proxy.subscription.acknowledged == proxy.revision


def test_a_name_asked_for_in_vain_is_answered_also_while_removals_are_held_back(
    connect: Connect,
) -> None:
    proxy = connect()
    proxy.accepts(proxy.says(subscribe=("*",)))
    proxy.subscription.receive(Request(subscribe=("none",)), proxy.snapshot)
    response = proxy.next(hold_removals=True)
    assert response is not None
    assert response.removed == ("none",)


def test_changes_that_do_not_concern_a_waiting_proxy_do_not_pile_up(connect: Connect) -> None:
    proxy = connect(resource("a"))
    proxy.says(subscribe=("a",))
    for n in range(1000):
        proxy.change(resource(f"other{n}"))
        proxy.subscription.is_behind(proxy.snapshot)
    assert len(proxy.subscription._dirty) == 0
