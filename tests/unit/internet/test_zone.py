import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from outgate.internet.plan import Plan
from outgate.internet.zone import Zone


@pytest.fixture
def zone() -> Zone:
    return Zone(Plan(0).records())


def _ask(zone: Zone, name: str, kind: str = "A") -> DNSRecord:
    return DNSRecord.parse(zone.answer(DNSRecord.question(name, kind)).pack())


def _answers(zone: Zone, name: str, kind: str = "A") -> list[tuple[str, str, int]]:
    return [(QTYPE[rr.rtype], str(rr.rdata), rr.ttl) for rr in _ask(zone, name, kind).rr]


def test_known_names_have_both_families(zone: Zone) -> None:
    assert _answers(zone, "httpbin.org") == [("A", "198.51.100.3", 1)]
    assert _answers(zone, "httpbin.org", "AAAA") == [("AAAA", "2001:db8:6f67::3", 1)]
    assert len(_answers(zone, "two.test")) == 2


def test_case_and_trailing_dot_make_no_difference(zone: Zone) -> None:
    assert _answers(zone, "HttpBin.ORG.") == _answers(zone, "httpbin.org")


def test_a_name_without_the_type_is_empty_and_an_unknown_one_nxdomain(zone: Zone) -> None:
    reply = _ask(zone, "v6only.test", "A")
    assert (reply.header.rcode, reply.rr) == (RCODE.NOERROR, [])
    reply = _ask(zone, "evil.test")
    assert (reply.header.rcode, reply.rr) == (RCODE.NXDOMAIN, [])
    assert QTYPE[reply.auth[0].rtype] == "SOA"
    assert reply.header.aa == 1
    assert reply.header.ra == 0


def test_records_can_be_changed_and_removed(zone: Zone) -> None:
    zone.set("new.test", "A", ["192.0.2.1", "192.0.2.2"], 7)
    assert _answers(zone, "new.test") == [("A", "192.0.2.1", 7), ("A", "192.0.2.2", 7)]
    zone.set("NEW.test.", "a", ["192.0.2.3"], 7)
    assert _answers(zone, "new.test") == [("A", "192.0.2.3", 7)]
    zone.set("new.test", "A", [], 7)
    assert _ask(zone, "new.test").header.rcode == RCODE.NXDOMAIN


def test_an_alias_is_followed(zone: Zone) -> None:
    zone.set("alias.test", "CNAME", ["metadata.test."], 3)
    assert _answers(zone, "alias.test") == [
        ("CNAME", "metadata.test.", 3),
        ("A", "169.254.169.254", 1),
    ]
    assert _answers(zone, "alias.test", "CNAME") == [("CNAME", "metadata.test.", 3)]


def test_aliases_in_a_circle_end(zone: Zone) -> None:
    zone.set("one.test", "CNAME", ["other.test."], 1)
    zone.set("other.test", "CNAME", ["one.test."], 1)
    assert {kind for kind, _, _ in _answers(zone, "one.test")} == {"CNAME"}


def test_text_records_work(zone: Zone) -> None:
    zone.set("text.test", "TXT", ['"hello there"'], 1)
    assert _answers(zone, "text.test", "TXT") == [("TXT", '"hello there"', 1)]


@pytest.mark.parametrize(
    ("kind", "value"), [("A", "fd00::1"), ("A", "300.1.1.1"), ("AAAA", "x"), ("NONSENSE", "1")]
)
def test_a_value_not_of_its_type_is_refused_and_changes_nothing(
    zone: Zone, kind: str, value: str
) -> None:
    with pytest.raises(ValueError, match=r"httpbin\.org"):
        zone.set("httpbin.org", kind, [value], 1)
    assert len(_answers(zone, "httpbin.org")) == 1


def test_a_wildcard_answers_for_what_is_not_there_itself(zone: Zone) -> None:
    zone.set("*.wild.test", "A", ["192.0.2.1"], ttl=1)
    zone.set("odd.wild.test", "AAAA", ["2001:db8::1"], ttl=1)
    for name in ("a.wild.test", "a.b.wild.test"):
        assert _answers(zone, name) == [("A", "192.0.2.1", 1)]
        assert _ask(zone, name, "AAAA").header.rcode == RCODE.NOERROR
    assert _answers(zone, "odd.wild.test") == []
    assert _ask(zone, "odd.wild.test").header.rcode == RCODE.NOERROR
    assert _ask(zone, "wild.test").header.rcode == RCODE.NXDOMAIN
