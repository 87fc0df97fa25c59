from outgate.model.destinations import External, Port
from outgate.model.names import Name
from outgate.model.visibility import covers, divide, expanded
from outgate.traffic.references import Protocol

TLS = (Port(443, Protocol.TLS),)
HOST = "api.example.com"


def declared(
    namespace: str, *visible: str, host: str = HOST, created: str = "", everywhere: bool = False
) -> External:
    seen = None if everywhere else frozenset(visible or (namespace,))
    return External(Name(namespace, host), host, TLS, created, seen)


def shown(*found: External) -> dict[str, set[str] | str]:
    """Whose it is, and in whose calls; those of all others but some have a `!`."""
    return {
        each.name.namespace: "!" + ",".join(sorted(callers.namespaces))
        if callers.others
        else set(callers.namespaces)
        for each, callers in divide(found)
    }


def test_one_is_seen_where_it_says() -> None:
    assert shown(declared("a")) == {"a": {"a"}}
    assert shown(declared("a", "a", "b")) == {"a": {"a", "b"}}
    assert shown(declared("a", everywhere=True)) == {"a": "!"}


def test_a_namespace_sees_its_own_before_an_older_one_from_elsewhere() -> None:
    older = declared("a", created="2026-01-01T00:00:00Z", everywhere=True)
    own = declared("b", created="2026-01-02T00:00:00Z")
    assert shown(older, own) == {"a": "!b", "b": {"b"}}
    assert shown(own, older) == {"a": "!b", "b": {"b"}}


def test_of_two_from_elsewhere_the_older_counts() -> None:
    first = declared("b", "c", created="2026-01-01T00:00:00Z")
    second = declared("a", "c", created="2026-01-02T00:00:00Z")
    assert shown(first, second) == {"a": {"a"}, "b": {"b", "c"}}


def test_of_two_that_are_for_all_the_older_counts_but_for_the_others_own_namespace() -> None:
    first = declared("b", everywhere=True, created="2026-01-01T00:00:00Z")
    second = declared("a", everywhere=True, created="2026-01-02T00:00:00Z")
    assert shown(second, first) == {"b": "!a", "a": {"a"}}


def test_a_wildcard_stands_for_all_names_below_it_and_no_other() -> None:
    assert covers("*.example.com", HOST)
    assert covers("*.example.com", "a.b.example.com")
    assert covers("*.example.com", "*.b.example.com")
    assert not covers("*.example.com", "*.example.com")
    assert not covers("*.example.com", "example.com")
    assert not covers("*.example.com", "evilexample.com")
    assert not covers("*.example.com", "a.example.com.evil.test")
    assert not covers(HOST, HOST)


def test_a_wildcard_counts_where_its_namespace_does_not_declare_the_host() -> None:
    """Else whoever declares one name below another namespace's wildcard would take it away from that."""
    wild = expanded(HOST, [declared("a", host="*.example.com"), declared("a", host="*.com")])
    (only,) = wild
    assert (only.name, only.host) == (Name("a", HOST), HOST)
    assert shown(declared("b"), *wild) == {"a": {"a"}, "b": {"b"}}


def test_what_is_declared_by_name_counts_before_an_older_wildcard_from_elsewhere() -> None:
    wild = expanded(HOST, [declared("a", "c", host="*.example.com")])
    named = declared("b", "c", created="2026-01-02T00:00:00Z")
    assert shown(named, *wild) == {"a": {"a"}, "b": {"b", "c"}}
