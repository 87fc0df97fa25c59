"""Whose call it is that comes out of a tunnel: a real egress Envoy, and sidecars that give up what they began."""

import asyncio
import datetime
import shutil
import ssl
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.kube.pairs import Envoy, Pair

from outgate.serve.certificates import now

pytestmark = pytest.mark.envoy

DATA, HEADERS, RST_STREAM, SETTINGS = 0, 1, 3, 4
END_HEADERS = 4
CANCEL = struct.pack(">I", 8)
WHERE = "240.240.0.9:80"
REQUEST = b"GET / HTTP/1.1\r\nHost: unknown\r\nConnection: close\r\n\r\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="outgate-kube-"))
    yield path
    shutil.rmtree(path)


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """Return a frame (RFC 9113, 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def begin(stream: int) -> bytes:
    """Return a request to connect, its headers as literals (RFC 7541, 6.2.2)."""
    fields = ((":method", "CONNECT"), (":authority", WHERE))
    literals = (
        b"\0%c%b%c%b" % (len(n), n.encode(), len(value), value.encode()) for n, value in fields
    )
    return frame(HEADERS, stream, b"".join(literals), END_HEADERS)


async def tunnel(pair: Pair, pod: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a tunnel as a pod's sidecar does, with its certificate."""
    root, files = pair.certificates.root, pair.folder / pod
    identity = f"spiffe://{pair.settings.trust_domain}/ns/of-{pod}/sa/{pod}"
    life = datetime.timedelta(hours=1)
    issued = root.issue(identity, now(), life, namespace=f"of-{pod}", pod=pod)
    files.write_bytes(issued.certificate + issued.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # It names a SPIFFE ID instead.
    context.load_verify_locations(cadata=root.bundle.decode())
    context.load_cert_chain(files)
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection("127.0.0.1", pair.tunnel, ssl=context)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0))
    return reader, writer


async def test_a_call_never_has_the_identity_of_one_that_was_given_up(folder: Path) -> None:
    pair = Pair(folder)
    publisher = pair.egress(declared=1)
    await pair.server.start()
    async with Envoy("egress", folder).running():
        await publisher.wait(publisher.revision, 20)
        _, writer = await tunnel(pair, "first")
        # Before Envoy has connected the stream with its pipeline: what it began to open stays, for whoever comes next.
        streams = range(1, 40, 2)
        writer.write(b"".join(begin(n) + frame(RST_STREAM, n, CANCEL) for n in streams))
        await writer.drain()
        await asyncio.sleep(0.5)
        reader, other = await tunnel(pair, "second")
        other.write(begin(1) + frame(DATA, 1, REQUEST))
        async with asyncio.timeout(5):
            said = await reader.readuntil(b"may not call")
        assert b"pod second in namespace of-second" in said
        for each in (writer, other):
            each.close()
    await pair.server.stop()
