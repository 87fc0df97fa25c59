"""Failover between destinations."""

from dataclasses import replace
from typing import Any

import pytest
from tests.e2e.upstream.conftest import external, leading, program

from outgate.traffic.upstream import Endpoint, Upstream
from outgate.xds import clusters

pytestmark = pytest.mark.envoy


async def test_the_next_destination_serves_while_one_fails(egress: Any, place: Any) -> None:
    places = [await place(each).open() for each in "abc"]
    others = [
        external(Upstream(endpoints=(Endpoint(each.ip, each.port),)), host=f"{each.name}.test")
        for each in places
    ]
    service, name = leading(external(Upstream()), *others)
    await program(egress, service)
    assert (await egress.get(name)).body == "a"
    places[0].status = 503
    await egress.until(lambda answer: answer.body == "b", name)
    places[1].close()
    places[1].status = 502
    await egress.until(lambda answer: answer.body == "c", name)


async def test_one_that_is_not_there_is_passed_over(egress: Any, place: Any) -> None:
    a = await place("a").open()
    said = Upstream(endpoints=(Endpoint(a.ip, a.port),))
    there, gone = external(said, host="a.test"), replace(external(said, host="b.test"), ports=())
    service, name = leading(external(Upstream()), there, gone)
    await program(egress, service)
    assert (await egress.get(name)).body == "a"
    assert not list(clusters.fallbacks(leading(service, gone, there)[0], egress.outside))
