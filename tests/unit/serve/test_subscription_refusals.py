"""What happens to what a proxy refuses: it alone stays away, and the rest goes on."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from outgate.serve.subscription import Response
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


def test_a_refused_version_is_not_sent_again_and_others_go_on(connect: Connect) -> None:
    proxy = connect(resource("a"), resource("b"))
    proxy.accepts(proxy.says())
    assert proxy.refuses(proxy.change(resource("a", "bad")), "no good") is None
    assert proxy.refused() == ["a"]
    assert proxy.subscription.acknowledged == proxy.revision
    response = proxy.change(resource("b", "2"))
    assert names(response) == ["b"]
    assert proxy.accepts(response) is None
    assert proxy.refused() == ["a"]


def test_a_refusal_ends_when_the_resource_is_changed_back_or_mended_or_removed(
    connect: Connect,
) -> None:
    for mended in (resource("a"), resource("a", "3"), None):
        proxy = connect(resource("a"))
        proxy.accepts(proxy.says())
        proxy.refuses(proxy.change(resource("a", "bad")), "no good")
        response = proxy.change(mended) if mended else proxy.change(removed=["a"])
        assert proxy.refused() == []
        # The first version is what the proxy still has.
        assert (response is None) == (mended == resource("a"))
        if response:
            proxy.accepts(response)
        assert proxy.refused() == []


def test_a_new_resource_that_was_refused_leaves_no_trace_when_it_goes(connect: Connect) -> None:
    proxy = connect()
    proxy.accepts(proxy.says())
    proxy.refuses(proxy.change(resource("a", "bad")), "no good")
    assert proxy.change(removed=["a"]) is None
    assert proxy.refused() == []


@pytest.mark.parametrize("text", ["nothing that helps", "adding cluster(s) c4: no good", "c1 c4"])
def test_one_bad_resource_among_many_is_found_and_the_rest_is_in_place(
    connect: Connect, text: str
) -> None:
    proxy = connect(*(resource(f"c{n}") for n in range(9)), resource("old"))
    versions = {"old": resource("old").version, "gone": "0"}
    response = proxy.says(subscribe=("*",), initial_versions=versions)
    taken: set[str] = set()
    removed: set[str] = set()
    for _ in range(20):
        if response is None:
            break
        if "c4" in names(response):
            # Nothing of it is in place, as when a resource fails Envoy's first checks.
            assert proxy.subscription.acknowledged < proxy.revision
            response = proxy.refuses(response, text)
        else:
            taken |= set(names(response))
            removed |= set(response.removed)
            response = proxy.accepts(response)
    assert response is None
    assert proxy.refused() == ["c4"]
    assert taken == {f"c{n}" for n in range(9)} - {"c4"}
    assert removed == {"gone"}
    assert proxy.subscription.acknowledged == proxy.revision


def test_what_is_said_of_a_longer_name_does_not_blame_the_shorter(connect: Connect) -> None:
    proxy = connect(resource("a"), resource("a-b"))
    response = proxy.refuses(proxy.says(), "adding cluster(s) a-b: no good")
    assert names(response) == ["a-b"]
    assert names(proxy.refuses(response, "adding cluster(s) a-b: no good")) == ["a"]


def test_a_change_while_the_bad_one_is_looked_for_is_taken_in(connect: Connect) -> None:
    proxy = connect(resource("a"), resource("b"))
    response = proxy.refuses(proxy.says(), "?")
    assert names(response) == ["a"]
    assert proxy.change(resource("b", "2"), resource("c")) is None
    response = proxy.accepts(response)
    assert response is not None
    assert response.resources == (resource("b", "2"),)
    assert names(proxy.accepts(response)) == ["c"]


def test_one_that_waits_for_a_name_learns_that_it_is_refused(connect: Connect) -> None:
    proxy = connect(resource("bad", on_demand=True))
    proxy.accepts(proxy.says(subscribe=("*",)))
    response = proxy.refuses(proxy.says(subscribe=("bad",)), "no good")
    assert response is not None
    assert (response.resources, response.removed) == ((), ("bad",))
    proxy.accepts(response)
    again = proxy.says(subscribe=("bad",))
    assert again is not None
    assert (again.resources, again.removed) == ((), ("bad",))


def test_a_refused_removal_is_not_repeated(connect: Connect) -> None:
    proxy = connect(resource("a"))
    proxy.accepts(proxy.says())
    assert proxy.refuses(proxy.change(removed=["a"]), "no") is None
    assert proxy.subscription.acknowledged == proxy.revision
