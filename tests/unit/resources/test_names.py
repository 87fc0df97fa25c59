from collections.abc import Callable

import pytest

from outgate.resources import names
from outgate.resources.names import Flaw

Rule = Callable[[str], Flaw | None]

LONG = "a" * 63
# The rules agree with k8s.io/apimachinery/pkg/util/validation on 100,000 random names; these are
# the edges.
VALID: dict[Rule, tuple[str, ...]] = {
    names.dns_label: ("a", "1", "a-b", "0-0", LONG),
    names.service_name: ("a", "a1", "a-b", LONG),
    names.dns_subdomain: ("a", "a.b-c.1", "xn--bcher-kva.example", ".".join(["a" * 84] * 3)[:253]),
    names.port_name: ("http", "a", "80a", "a-1", "a" * 15),
    names.qualified_name: ("App", "a_b.c-D", "example.com/app", f"{'a' * 253}/{LONG}"),
    names.label_value: ("", "App", "1.0_x-Y", LONG),
}
INVALID: dict[Rule, tuple[str, ...]] = {
    names.dns_label: ("", "A", "a.b", "a_b", "-a", "a-", LONG + "a", "a\n", "é", "٣"),
    names.service_name: ("", "1a", "A", "a.b", "-a", LONG + "a"),
    names.dns_subdomain: ("", ".", "a.", ".a", "a..b", "a_b.c", "A.b", "a.-b", "a" * 254),
    names.port_name: ("", "80", "A", "a--b", "-a", "a-", "a.b", "a" * 16),
    names.qualified_name: ("", "/a", "a/", "a/b/c", "A.com/b", "a b", "_a", "a" * 64, "a\n"),
    names.label_value: ("-", "a ", "_a", "a/b", LONG + "a"),
}


@pytest.mark.parametrize(
    ("rule", "name"), [(rule, name) for rule, found in VALID.items() for name in found]
)
def test_valid(rule: Rule, name: str) -> None:
    assert rule(name) is None


@pytest.mark.parametrize(
    ("rule", "name"), [(rule, name) for rule, found in INVALID.items() for name in found]
)
def test_invalid(rule: Rule, name: str) -> None:
    assert isinstance(rule(name), Flaw)


def test_messages_say_what_is_allowed_and_what_to_write() -> None:
    assert names.service_name("My_Service") == Flaw(
        '"My_Service" is not a Service name: lower-case letters, digits and "-" are allowed, '
        "with a letter first and a letter or digit last",
        "for example my-service",
    )
    assert names.dns_label("a" * 64) == Flaw(
        f'"{"a" * 64}" is 64 characters long, at most 63 are allowed'
    )
    assert names.port_name("") == Flaw(
        'is empty: lower-case letters, digits and single, inner "-" are allowed, '
        "with at least one letter"
    )
    assert names.qualified_name("-x/app") == Flaw(
        'before the "/", "-x" is not a DNS name: labels of lower-case letters, digits and "-" '
        'are allowed, joined by ".", each with a letter or digit at both ends',
        "for example x",
    )
