import json

from outgate.xds.log_lines import Wanted, time_of


def line(pod: str, namespace: str, time: str = "2026-01-02T03:04:05.678Z") -> str:
    return json.dumps({"time": time, "pod": pod, "namespace": namespace}) + "\n"


def test_lines_are_chosen_by_pod_namespace_and_time() -> None:
    one, other = line("a", "n"), line("a", "m", "2026-01-02T03:04:06.000Z")
    assert Wanted().has(one)
    assert Wanted("a", "n").has(one)
    assert not Wanted("a", "n").has(other)
    assert Wanted("", "m").has(other)
    since = Wanted(since="2026-01-02T03:04:06.000Z")
    assert (since.has(one), since.has(other)) == (False, True)
    assert (Wanted().everything, since.everything) == (True, False)


def test_what_envoy_says_of_itself_is_no_line() -> None:
    for text in ("[2026-01-02][warning] x\n", "{\n", "[]\n", '"x"\n'):
        assert not Wanted().has(text)
        assert time_of(text) == ""
    assert time_of(line("a", "n")) == "2026-01-02T03:04:05.678Z"
