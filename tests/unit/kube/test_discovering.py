"""Which kinds are followed, by what an API server says it has."""

from outgate.kube.discovering import chosen
from outgate.resources import kinds


def test_only_kinds_that_declare_something_are_followed_and_no_subresources() -> None:
    lists = [
        {
            "groupVersion": f"{group}/{version}",
            "resources": [
                {"name": kinds.plural(kind), "kind": kind},
                {"name": f"{kinds.plural(kind)}/status", "kind": kind},
                {"name": "others", "kind": "Other"},
            ],
        }
        for group, kind, versions in kinds.declaring()
        for version in versions
    ]
    expected = {
        (group, kind): (versions[0], kinds.plural(kind))
        for group, kind, versions in kinds.declaring()
    }
    assert chosen(lists) == expected


def test_nothing_is_followed_where_the_server_says_nothing() -> None:
    assert chosen([{}, {"groupVersion": "v1"}, {"resources": None}]) == {}
