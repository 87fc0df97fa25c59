"""Who a proxy is over mTLS: what its certificate says, and nothing else."""

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator
from typing import Any

import grpc
from cryptography import x509

from outgate.errors import UnavailableError
from outgate.serve import authority
from outgate.serve.authority import Authority
from outgate.serve.peers import Admitted, Peer, by_name
from outgate.serve.publishing import Publisher
from outgate.serve.server import Certificate, Server
from outgate.serve.stream import CLUSTER
from outgate.xds.protos import ads, discovery

WORD = "t1"
KNOWN, OTHER = "spiffe://mesh.test/ns/a/sa/known", "spiffe://mesh.test/ns/a/sa/other"
NOW, LIFE = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)
ROOT = authority.create(NOW, "mesh.test")


async def ask(publisher: Publisher, issuer: Authority, identity: str) -> grpc.StatusCode | None:
    """Call as `identity`, but claim to be the known proxy; return the error, if any."""
    server = Server(by_name(lambda node: publisher if node == KNOWN else None))
    own = ROOT.issue("spiffe://mesh.test/ns/x/sa/server", NOW, LIFE, namespace="xds.test")
    peer = issuer.issue(identity, NOW, LIFE)
    shown = Certificate(own.key, own.certificate, ROOT.bundle)
    port = server.listen_tls("127.0.0.1:0", lambda: shown)
    await server.start()
    credentials = grpc.ssl_channel_credentials(ROOT.bundle, peer.key, peer.certificate)
    options = [("grpc.ssl_target_name_override", "xds.test")]
    request = discovery.DeltaDiscoveryRequest(type_url=CLUSTER)
    request.node.id = KNOWN
    try:
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
            call = ads.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
            async with asyncio.timeout(5):
                await call.write(request)
                response = await call.read()
        assert response.type_url == CLUSTER
    except grpc.aio.AioRpcError as error:
        return error.code()
    except asyncio.InvalidStateError:
        return await call.code()
    finally:
        await server.stop()
    return None


async def test_the_certificate_says_who_a_proxy_is(publisher: Publisher) -> None:
    assert await ask(publisher, ROOT, KNOWN) is None


async def test_what_a_proxy_calls_itself_counts_for_nothing(publisher: Publisher) -> None:
    assert await ask(publisher, ROOT, OTHER) == grpc.StatusCode.PERMISSION_DENIED


async def test_a_certificate_that_names_no_identity_is_refused(publisher: Publisher) -> None:
    code = await ask(publisher, ROOT, "https://mesh.test/known")
    assert code == grpc.StatusCode.PERMISSION_DENIED


async def test_a_certificate_of_another_authority_does_not_get_in(publisher: Publisher) -> None:
    other = authority.create(NOW, "mesh.test")
    assert await ask(publisher, other, KNOWN) == grpc.StatusCode.UNAVAILABLE


class Doorkeeper:
    """Lets in who has the right token, and notes who comes and goes."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher, self.seen = publisher, list[str]()
        self.down = False

    @contextlib.asynccontextmanager
    async def admit(self, peer: Peer) -> AsyncIterator[Admitted | None]:
        if self.down:
            raise UnavailableError("nobody can say who that is")
        if peer.token != WORD:
            yield None
            return
        self.seen.append("came")
        try:
            yield Admitted("a/pod", self.publisher, "me")
        finally:
            self.seen.append("went")


async def ask_with_token(door: Doorkeeper, token: str, roots: bytes = ROOT.bundle) -> Any:
    shown = [ROOT.issue_server(["xds.test"], NOW, LIFE)]
    server = Server(door.admit)
    port = server.listen_tls("127.0.0.1:0", lambda: Certificate(shown[0].key, shown[0].certificate))
    await server.start()
    options = [("grpc.ssl_target_name_override", "xds.test")]
    request = discovery.DeltaDiscoveryRequest(type_url=CLUSTER)
    request.node.id = "me"
    try:
        for _ in range(2):
            credentials = grpc.ssl_channel_credentials(roots)
            async with grpc.aio.secure_channel(
                f"127.0.0.1:{port}", credentials, options
            ) as channel:
                call = ads.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources(
                    metadata=[("authorization", f"Bearer {token}")] if token else []
                )
                await call.write(request)
                if await asyncio.wait_for(call.read(), 5) is grpc.aio.EOF:
                    return await call.code()
                assert [each.node for each in server.status()] == ["a/pod"]
            # Renewed by another authority: who still trusts the first one is not connected again.
            shown[0] = authority.create(NOW, "x").issue_server(["xds.test"], NOW, LIFE)
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return await call.code()
    finally:
        await server.stop()


async def test_a_token_lets_in_and_a_renewed_certificate_is_shown_at_once(
    publisher: Publisher,
) -> None:
    door = Doorkeeper(publisher)
    assert await ask_with_token(door, WORD) == grpc.StatusCode.UNAVAILABLE
    assert door.seen == ["came", "went"]


async def test_another_token_or_none_is_refused(publisher: Publisher) -> None:
    door = Doorkeeper(publisher)
    for token in ("other", ""):
        assert await ask_with_token(door, token) == grpc.StatusCode.PERMISSION_DENIED
    assert door.seen == []


async def test_who_cannot_be_judged_may_try_again(publisher: Publisher) -> None:
    door = Doorkeeper(publisher)
    door.down = True
    assert await ask_with_token(door, WORD) == grpc.StatusCode.UNAVAILABLE


def test_a_server_certificate_is_no_workloads() -> None:
    pair = ROOT.issue_server(["xds.test", "xds"], NOW, LIFE)
    names = x509.load_pem_x509_certificate(pair.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [type(each) for each in names.value] == [x509.DNSName, x509.DNSName]
