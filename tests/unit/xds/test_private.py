import ipaddress

import pytest

from outgate.model.assembling import Change
from outgate.model.destinations import External, Port
from outgate.model.names import Name
from outgate.traffic.references import Protocol
from outgate.traffic.upstream import Endpoint, Proxy, ProxyKind, Upstream
from outgate.xds import private
from outgate.xds.private import Private, Ranges

TEN = ipaddress.ip_network("10.0.0.0/8")
ONE = ipaddress.ip_network("192.168.0.1/32")


def service(said: Upstream, name: str = "a.test") -> External:
    return External(Name("ns", name), name, (Port(80, Protocol.HTTP, upstream=said),))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Upstream(), None),
        (Upstream(private=(TEN,)), (TEN,)),
        # Whoever writes out an address names it.
        (Upstream(endpoints=(Endpoint("192.168.0.1"), Endpoint("8.8.8.8"))), (ONE,)),
        (Upstream(endpoints=(Endpoint("192.168.0.1"),), private=(TEN,)), (TEN, ONE)),
        (Upstream(endpoints=(Endpoint("8.8.8.8"), Endpoint("b.test"))), None),
        (Upstream(proxy=Proxy(ProxyKind.HTTP, "192.168.0.1", 3128)), (ONE,)),
        # Behind a proxy, no socket of ours goes to an endpoint.
        (
            Upstream(
                endpoints=(Endpoint("192.168.0.2"),),
                proxy=Proxy(ProxyKind.HTTP, "192.168.0.1", 3128),
            ),
            (ONE,),
        ),
    ],
)
def test_what_a_resource_names(said: Upstream, expected: Ranges | None) -> None:
    assert private.of(service(said)) == (frozenset({expected}) if expected else frozenset())


def test_each_set_is_there_while_a_destination_has_it() -> None:
    held = Private()
    ten, both = Upstream(private=(TEN,)), Upstream(private=(TEN, ONE))
    held.follow(Change((service(ten), service(ten, "b.test"), service(both, "c.test"))))
    assert held.sets() == {(TEN,), (TEN, ONE)}
    held.follow(Change((service(Upstream()),), (Name("ns", "c.test"),)))
    assert held.sets() == {(TEN,)}
    held.follow(Change((), (Name("ns", "b.test"),)))
    assert held.sets() == frozenset()
