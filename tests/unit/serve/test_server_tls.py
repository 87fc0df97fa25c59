"""Who a proxy is over mTLS: what its certificate says, and nothing else."""

import asyncio
import datetime

import grpc

from outgate.serve import authority
from outgate.serve.authority import Authority
from outgate.serve.publishing import Publisher
from outgate.serve.server import Server
from outgate.serve.stream import CLUSTER
from outgate.xds.protos import ads, discovery

KNOWN, OTHER = "spiffe://mesh.test/ns/a/sa/known", "spiffe://mesh.test/ns/a/sa/other"
NOW, LIFE = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)
ROOT = authority.create(NOW, "mesh.test")


async def ask(publisher: Publisher, issuer: Authority, identity: str) -> grpc.StatusCode | None:
    """Call as `identity`, but claim to be the known proxy; return the error, if any."""
    server = Server(lambda node: publisher if node == KNOWN else None)
    own = ROOT.issue("spiffe://mesh.test/ns/x/sa/server", NOW, LIFE, namespace="xds.test")
    peer = issuer.issue(identity, NOW, LIFE)
    port = server.listen_tls("127.0.0.1:0", own.key, own.certificate, ROOT.bundle)
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
