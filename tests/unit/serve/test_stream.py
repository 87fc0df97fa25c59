"""In which order a proxy gets its types: what is referred to comes first, and goes last."""

import pytest

from outgate.serve.stream import CLUSTER, LISTENER, ORDER, Stream
from outgate.serve.subscription import Request, Response
from outgate.xds.snapshot import Resource, Snapshot

SECRET, ROUTE = ORDER[0], ORDER[-1]


def resource(type_url: str, name: str, content: str = "1") -> Resource:
    return Resource(type_url, name, content, content.encode())


class Proxy:
    """A stream on a snapshot that changes; it subscribes to everything of each type."""

    def __init__(self, *resources: Resource, types: tuple[str, ...] = (CLUSTER, LISTENER)) -> None:
        self.snapshot = Snapshot().replace(resources)
        self.revision = 1
        self.stream = Stream()
        for type_url in types:
            self.stream.receive(type_url, Request(), self.snapshot)

    def change(self, *resources: Resource, removed: tuple[tuple[str, str], ...] = ()) -> None:
        self.snapshot = self.snapshot.replace(resources, removed)
        self.revision += 1
        for type_url, name in (*((each.type_url, each.name) for each in resources), *removed):
            self.stream.change({type_url: [name]})

    def next(self) -> tuple[str, list[str], list[str]] | None:
        found = self.stream.next(self.snapshot, self.revision)
        if found is None:
            return None
        self.last: tuple[str, Response] = found
        type_url, response = found
        return type_url, [each.name for each in response.resources], list(response.removed)

    def answer(self, type_url: str, nonce: str, error: str = "") -> None:
        self.stream.receive(type_url, Request(nonce=nonce, error=error), self.snapshot)

    def settle(self) -> list[tuple[str, list[str], list[str]]]:
        """Take all that comes; return it."""
        taken = []
        while (found := self.next()) is not None:
            taken.append(found)
            self.answer(self.last[0], self.last[1].nonce)
        return taken


def test_each_type_comes_before_those_that_refer_to_it() -> None:
    proxy = Proxy(*(resource(each, "a") for each in reversed(ORDER)), types=ORDER[::-1])
    assert [taken[0] for taken in proxy.settle()] == list(ORDER)


def test_types_are_sent_without_waiting_for_answers_as_long_as_nothing_is_missing() -> None:
    proxy = Proxy(resource(CLUSTER, "c"), resource(LISTENER, "l"))
    assert proxy.next() == (CLUSTER, ["c"], [])
    assert proxy.next() == (LISTENER, ["l"], [])
    assert proxy.next() is None


def test_a_listener_waits_for_a_cluster_that_cannot_be_sent_yet() -> None:
    proxy = Proxy()
    assert proxy.next() == (CLUSTER, [], [])
    clusters = proxy.last
    assert proxy.next() == (LISTENER, [], [])
    proxy.answer(LISTENER, proxy.last[1].nonce)
    proxy.change(resource(CLUSTER, "c"), resource(LISTENER, "l"))
    assert proxy.next() is None
    proxy.answer(clusters[0], clusters[1].nonce)
    assert proxy.next() == (CLUSTER, ["c"], [])
    assert proxy.next() == (LISTENER, ["l"], [])


def test_a_cluster_goes_only_after_the_listener_that_used_it_is_gone() -> None:
    proxy = Proxy(resource(CLUSTER, "c"), resource(LISTENER, "l"))
    proxy.settle()
    proxy.change(removed=((CLUSTER, "c"), (LISTENER, "l")))
    assert proxy.next() == (LISTENER, [], ["l"])
    assert proxy.next() is None
    proxy.answer(LISTENER, proxy.last[1].nonce)
    assert proxy.next() == (CLUSTER, [], ["c"])
    proxy.answer(CLUSTER, proxy.last[1].nonce)
    assert proxy.next() is None
    assert proxy.stream.acknowledged() == proxy.revision


def test_one_cluster_in_place_of_another() -> None:
    proxy = Proxy(resource(CLUSTER, "old"), resource(LISTENER, "l", "old"))
    proxy.settle()
    proxy.change(
        resource(CLUSTER, "new"), resource(LISTENER, "l", "new"), removed=((CLUSTER, "old"),)
    )
    expected = [(CLUSTER, ["new"], []), (LISTENER, ["l"], []), (CLUSTER, [], ["old"])]
    assert proxy.settle() == expected


def test_a_refused_listener_does_not_keep_clusters_for_good() -> None:
    proxy = Proxy(resource(CLUSTER, "c"), resource(LISTENER, "l"))
    proxy.settle()
    proxy.change(resource(LISTENER, "l", "bad"), removed=((CLUSTER, "c"),))
    assert proxy.next() == (LISTENER, ["l"], [])
    proxy.answer(LISTENER, proxy.last[1].nonce, "no good")
    assert proxy.next() == (CLUSTER, [], ["c"])
    assert [each.names for each in proxy.stream.refusals()] == [("l",)]


def test_a_cluster_goes_though_a_change_that_is_none_was_noted_for_listeners() -> None:
    proxy = Proxy(resource(CLUSTER, "c"))
    proxy.settle()
    proxy.change(removed=((CLUSTER, "c"), (LISTENER, "never there")))
    assert proxy.next() == (CLUSTER, [], ["c"])


def test_nothing_is_acknowledged_before_clusters_and_listeners_were_asked_for() -> None:
    proxy = Proxy(resource(CLUSTER, "c"), types=(CLUSTER,))
    proxy.settle()
    assert proxy.stream.acknowledged() == -1
    proxy.stream.receive(LISTENER, Request(), proxy.snapshot)
    proxy.settle()
    assert proxy.stream.acknowledged() == proxy.revision


def test_a_type_that_is_not_served_is_ignored() -> None:
    proxy = Proxy(types=())
    proxy.stream.receive("type.googleapis.com/other", Request(), proxy.snapshot)
    assert proxy.next() is None


@pytest.mark.parametrize("refuse", [False, True])
def test_each_change_reaches_a_proxy_that_answers(refuse: bool) -> None:
    proxy = Proxy(types=ORDER)
    proxy.settle()
    for n in range(5):
        proxy.change(*(resource(each, "a", f"{n}") for each in ORDER))
        while proxy.next():
            proxy.answer(*(proxy.last[0], proxy.last[1].nonce), "no" if refuse else "")
        assert proxy.stream.acknowledged() == proxy.revision
    assert len(proxy.stream.refusals()) == (len(ORDER) if refuse else 0)
