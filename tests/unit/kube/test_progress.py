import json

import pytest

from outgate.kube.paces import Bucket
from outgate.kube.progress import (
    ALIVE_SECONDS,
    PROGRAMMED,
    REFUSED,
    Progress,
    Reached,
    Replicas,
    read,
    together,
)
from outgate.model.declarations import Source
from outgate.model.names import Name

BIN = Source("Service", "default", "bin")


def at(version: int) -> dict[str, int]:
    return {"Service": version}


def test_what_is_acknowledged_is_told_as_a_version() -> None:
    progress = Progress()
    assert progress.reached([]) is None
    assert progress.reached([-1]) == {}
    progress.published(3, at(100))
    # The same revision: another Service changed, which is none of our business.
    progress.published(3, at(110))
    progress.published(5, at(120))
    assert progress.reached([2]) == {}
    assert progress.reached([3, 9]) == at(110)
    assert progress.reached([4]) == at(110)
    assert progress.reached([5]) == at(120)
    assert progress.reached([5, -1]) == {}


def test_memory_is_bounded_while_an_egress_does_not_answer() -> None:
    progress = Progress()
    for number in range(5000):
        progress.published(number, at(number))
    assert len(progress._marks) <= 1000
    assert progress.reached([3]) == {}
    assert progress.reached([4500]) == at(4500)


def test_all_are_as_far_as_the_last() -> None:
    assert together([]) == Reached(None, {})
    assert together([Reached(None), Reached(at(7)), Reached(at(5))]).versions == at(5)
    assert together([Reached(at(3), {BIN: "a"}), Reached(at(4), {BIN: "b"})]).refused == {BIN: "a"}


def test_what_is_written_is_read() -> None:
    for each in (Reached(), Reached({}), Reached(at(12), {BIN: "words"})):
        assert read({"metadata": {"annotations": each.annotations()}}) == each


@pytest.mark.parametrize("refused", ["{", "[]", "7", '{"a": "b"}'])
def test_what_cannot_be_read_holds_nothing_up_for_ever(refused: str) -> None:
    lease = {"metadata": {"annotations": {PROGRAMMED: "x", REFUSED: refused}}}
    assert read(lease) == Reached({}, {})


def test_what_an_earlier_version_wrote_is_about_services() -> None:
    assert read({"metadata": {"annotations": {PROGRAMMED: "17"}}}) == Reached(at(17), {})


def test_a_kind_counts_as_far_as_the_last_replica_has_it() -> None:
    found = together([Reached({"Service": 7, "HTTPRoute": 9}), Reached({"Service": 8})])
    assert found.versions == {"Service": 7, "HTTPRoute": 0}


def test_annotations_are_bounded() -> None:
    many = {Source("Service", "default", f"s{number}"): "x" * 5000 for number in range(1000)}
    text = Reached(at(1), many).annotations()[REFUSED]
    assert len(text) < 64 << 10
    assert len(json.loads(text)) == 50


def test_replicas_count_while_their_leases_change() -> None:
    replicas = Replicas()
    leases = {
        Name("outgate-system", name): {"metadata": {"annotations": Reached(at(7)).annotations()}}
        for name in ("one", "two")
    }
    replicas.change(leases, now=100)
    assert len(replicas.alive(100, but="one")) == 1
    assert len(replicas.alive(100, but="three")) == 2
    replicas.change({Name("outgate-system", "two"): leases[Name("outgate-system", "two")]}, 120)
    assert len(replicas.alive(100 + ALIVE_SECONDS, but="three")) == 1
    replicas.change({Name("outgate-system", "two"): None}, 121)
    assert replicas.alive(121, but="one") == ()


def test_a_bucket_lets_a_burst_through_and_then_a_rate() -> None:
    bucket = Bucket(50, 100)
    now = 7.0
    waited = []
    for _ in range(200):
        pause = bucket.take(now)
        waited.append(pause)
        now += pause
    assert waited[:100] == [0.0] * 100
    assert now == pytest.approx(7 + 100 / 50)
    # It does not save up more than a burst.
    assert [bucket.take(now + 1000) for _ in range(101)].count(0.0) == 100
