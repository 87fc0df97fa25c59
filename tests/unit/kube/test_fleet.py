"""Who is let in, and what each proxy is told; the API server's judgement is the only thing that is not real."""

import asyncio
import contextlib
import datetime
import ipaddress
from collections.abc import Callable

import pytest
from tests.unit.kube.conftest import Judge, MakeToken

from outgate.errors import UnavailableError
from outgate.kube.fleet import STREAMS_AT_ONCE, STREAMS_PER_POD, Fleet
from outgate.kube.reviews import Reviews
from outgate.serve import allowances, authority
from outgate.serve.certificates import Certificates
from outgate.serve.peers import Peer
from outgate.serve.publishing import Publisher
from outgate.settings import Settings
from outgate.xds import tunnels
from outgate.xds.building import CLUSTER, LISTENER
from outgate.xds.secrets import SECRET

Known = Callable[..., str]


@pytest.fixture
def fleet(judge: Judge) -> Fleet:
    synced = asyncio.Event()
    synced.set()
    settings = Settings()
    root = authority.create(datetime.datetime.now(datetime.UTC), settings.trust_domain)
    certificates = Certificates(root, settings)
    made = Fleet(Reviews(judge.ask), settings, certificates, Publisher(), synced)
    made.move(("192.0.2.1:15008",))
    made.inside((ipaddress.ip_network("10.0.0.0/8"),))
    return made


def peer(token: str) -> Peer:
    return Peer(token=token, address="ipv4:10.0.0.9")


async def test_a_sidecar_is_its_pod_and_asks_for_little(fleet: Fleet, known: Known) -> None:
    async with fleet.admit(peer(known("mine"))) as admitted:
        assert admitted is not None
        assert admitted.name == admitted.node == "sidecar~mine.default"
        assert admitted.allowance is allowances.SIDECAR
        types = admitted.publisher.snapshot.types
        assert set(types[SECRET]) == {tunnels.WORKLOAD_CERTIFICATE, tunnels.TRUST}
        assert set(types) <= allowances.SIDECAR.types
    assert fleet.sidecars == set()
    assert fleet.certificates.subjects == {}


async def test_the_egress_is_who_runs_as_its_account_in_our_namespace(
    fleet: Fleet, known: Known
) -> None:
    token = known("egress-1", "outgate-egress", "outgate-system")
    async with fleet.admit(peer(token)) as admitted:
        assert admitted is not None
        assert admitted.node == "egress~egress-1.outgate-system"
        assert admitted.publisher is fleet.egress
    for account, namespace in (("outgate-egress", "default"), ("default", "outgate-system")):
        async with fleet.admit(peer(known("other", account, namespace))) as admitted:
            assert admitted is not None
            assert admitted.publisher is not fleet.egress


async def test_who_proves_no_pod_is_refused(fleet: Fleet, token: MakeToken) -> None:
    async with fleet.admit(peer(token())) as admitted:
        assert admitted is None


async def test_nobody_is_told_anything_before_everything_was_read(
    fleet: Fleet, known: Known
) -> None:
    fleet.synced.clear()
    with pytest.raises(UnavailableError):
        await fleet.admit(peer(known("mine"))).__aenter__()


async def test_a_pod_has_a_few_streams_only(fleet: Fleet, known: Known) -> None:
    token = known("mine")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(STREAMS_PER_POD):
            assert await stack.enter_async_context(fleet.admit(peer(token)))
        with pytest.raises(UnavailableError, match="has 4 streams already"):
            await fleet.admit(peer(token)).__aenter__()
        assert await stack.enter_async_context(fleet.admit(peer(known("other"))))
    assert fleet._streams == {}


async def test_a_pod_may_not_come_again_and_again(fleet: Fleet, known: Known) -> None:
    token = known("mine")
    for _ in range(STREAMS_AT_ONCE):
        async with fleet.admit(peer(token)) as admitted:
            assert admitted
    with pytest.raises(UnavailableError, match="comes too often"):
        await fleet.admit(peer(token)).__aenter__()


async def test_sidecars_share_all_but_their_certificate(fleet: Fleet, known: Known) -> None:
    async with fleet.admit(peer(known("a"))) as first, fleet.admit(peer(known("b"))) as second:
        assert first is not None
        assert second is not None
        one, other = first.publisher.snapshot, second.publisher.snapshot
        for kind in (CLUSTER, LISTENER):
            assert one.of_type(kind)
            assert one.of_type(kind) is other.of_type(kind)
        names = [snapshot.get(SECRET, tunnels.WORKLOAD_CERTIFICATE) for snapshot in (one, other)]
        assert names[0] != names[1]
        fleet.move(("192.0.2.2:15008",))
        moved = [
            each.publisher.snapshot.get(CLUSTER, tunnels.EGRESS_CLUSTER) for each in (first, second)
        ]
        assert moved[0] is moved[1]
        assert moved[0] is not one.get(CLUSTER, tunnels.EGRESS_CLUSTER)
    async with fleet.admit(peer(known("c"))) as third:
        assert third is not None
        assert third.publisher.snapshot.get(CLUSTER, tunnels.EGRESS_CLUSTER) is moved[0]
