import pytest

from outgate.model.destinations import External, Internal, Port, forms
from outgate.model.names import Name
from outgate.traffic.references import Protocol


def test_every_form_of_istio_0_1_the_shortest_first() -> None:
    assert forms(Name("ns", "s")) == (
        "s",
        "s.ns",
        "s.ns.svc",
        "s.ns.svc.cluster",
        "s.ns.svc.cluster.local",
    )


def test_another_domain() -> None:
    assert forms(Name("ns", "s"), "example")[2:] == ("s.ns.svc", "s.ns.svc.example")


def test_a_name_is_written_in_the_form_that_is_valid_everywhere() -> None:
    assert str(Name("ns", "s")) == "s.ns"


@pytest.mark.parametrize("protocol", list(Protocol))
def test_only_plain_tcp_may_wait_for_the_server(protocol: Protocol) -> None:
    port = Port(80, protocol)
    assert port.is_http == (protocol not in (Protocol.TCP, Protocol.TLS))
    name = Name("ns", "s")
    raw = protocol is Protocol.TCP
    assert External(name, "h", (port,)).has_raw_port == raw
    assert Internal(name, (port,), ((),)).has_raw_port == raw
