import pytest

from outgate.errors import UsageError
from outgate.model.ranges import parse_ranges
from outgate.model.workloads import spiffe_id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("*", []),
        ("10.0.0.1/24", ["10.0.0.0/24"]),
        (
            "172.30.0.0/16,172.20.0.0/16,10.10.10.0/24",
            ["172.30.0.0/16", "172.20.0.0/16", "10.10.10.0/24"],
        ),
        (" 10.4.0.0/14 , 10.7.240.0/20 ", ["10.4.0.0/14", "10.7.240.0/20"]),
        ("192.0.2.1,2001:db8::1/32", ["192.0.2.1/32", "2001:db8::/32"]),
        ("10.0.0.1/24,10.0.0.2/24", ["10.0.0.0/24"]),
        ("2001:db8::1, 2001:db8:0::/127,", ["2001:db8::1/128", "2001:db8::/127"]),
        # Everything, and no less because of what stands beside it.
        ("*,10.0.0.0/8", []),
        ("10.0.0.0/8, *", []),
    ],
)
def test_as_the_task_writes_them(text: str, expected: list[str]) -> None:
    assert [str(each) for each in parse_ranges(text, "--includeIPRanges")] == expected


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("10.0.0.0/33", "10.0.0.0/33"),
        ("10.0.0.0/8, 2001:db8::/129", "2001:db8::/129"),
        ("example.com", "example.com"),
        ("10.0.0", "10.0.0"),
        ("10.0.0.0/", "10.0.0.0/"),
        ("010.0.0.0/8", "010.0.0.0/8"),
        ("10.0.0.0/8;10.1.0.0/16", "10.0.0.0/8;10.1.0.0/16"),
        ("*,10.0.0.0/33", "10.0.0.0/33"),
        ("10.0.0.0/33,*", "10.0.0.0/33"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::ffff:10.0.0.0/104", "::ffff:10.0.0.0/104"),
    ],
)
def test_what_is_none_names_the_flag_and_the_part(text: str, bad: str) -> None:
    with pytest.raises(UsageError, match=rf"^--includeIPRanges: '{bad}' .*10\.0\.0\.0/24"):
        parse_ranges(text, "--includeIPRanges")


def test_identity_has_the_form_that_istio_made_common() -> None:
    assert spiffe_id("cluster.local", "ns", "sa") == "spiffe://cluster.local/ns/ns/sa/sa"
