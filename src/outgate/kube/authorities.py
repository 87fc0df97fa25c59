"""The certificate authority of a cluster's mesh: one for all replicas of the controller, kept in a Secret.

Whoever comes first makes it; the API server lets only one of two that come at once. Who has it puts it back if somebody
deletes it: else the next replica would make another one, which no proxy that runs trusts.
"""

import asyncio
import base64
import contextlib
import datetime
import logging
from pathlib import PurePosixPath

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Secret

from outgate.errors import HostError, UnavailableError
from outgate.kube import client as api
from outgate.kube import naming
from outgate.kube.client import Client
from outgate.serve import authority
from outgate.serve.authority import Authority
from outgate.serve.certificates import now
from outgate.serve.server import Certificate
from outgate.settings import Settings

_log = logging.getLogger(__name__)

_KEY = "root.pem"
_PLACE = PurePosixPath("secrets", naming.SYSTEM_NAMESPACE, naming.CA_SECRET)
SERVER_LIFE = datetime.timedelta(days=7)
_LOOK_SECONDS = 5.0
_OTHER = (
    "this is another authority than the one in use: it counts once all controllers, egress Envoys and captured pods are"
    " made anew"
)


async def obtain(client: Client, settings: Settings) -> Authority:
    """Return the authority, made at the first start; HostError if what is kept cannot be used."""
    try:
        return await _read(client)
    except api.ApiError as error:
        if api.code(error) != api.NOT_FOUND:
            raise UnavailableError(f"cannot read {_PLACE}: {error}") from error
    await _write(client, authority.create(now(), settings.trust_domain))
    # Another replica may have been first.
    return await _read(client)


async def keep(client: Client, root: Authority) -> None:
    """Put the authority back when it is missing, until cancelled; say so where there is another one now."""
    told = ""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        wrong = told
        # If the API server is away, the watches say so.
        with contextlib.suppress(UnavailableError, *api.TROUBLE):
            wrong = await _mended(client, root)
        if wrong and wrong != told:
            _log.error("%s", wrong)
        told = wrong


async def _mended(client: Client, root: Authority) -> str:
    """Return what is wrong and stays so; empty if nothing is."""
    try:
        found = await _read(client)
    except api.ApiError as error:
        if api.code(error) != api.NOT_FOUND:
            raise
        await _write(client, root)
        _log.warning("%s was deleted: it is back, with what proxies trust", _PLACE)
        return ""
    except HostError as error:
        return str(error)
    return "" if found.bundle == root.bundle else f"{_PLACE}: {_OTHER}"


async def _write(client: Client, root: Authority) -> None:
    secret = Secret(
        metadata=ObjectMeta(name=naming.CA_SECRET, namespace=naming.SYSTEM_NAMESPACE),
        type="Opaque",
        data={_KEY: base64.b64encode(authority.dump(root)).decode()},
    )
    try:
        await client.create(secret)
    except api.ApiError as error:
        if api.code(error) != api.CONFLICT:
            raise UnavailableError(f"cannot write {_PLACE}: {error}") from error


async def _read(client: Client) -> Authority:
    secret = await client.get(Secret, naming.CA_SECRET, namespace=naming.SYSTEM_NAMESPACE)
    data = base64.b64decode((secret.data or {}).get(_KEY, ""))
    return authority.load(data, _PLACE, now())


class ServerCertificate:
    """What the controller shows to who calls it; made anew, at a handshake, when half of its life is over."""

    def __init__(self, root: Authority, settings: Settings) -> None:
        """Make the first one."""
        self._root = root
        base = f"{naming.XDS_SERVICE}.{naming.SYSTEM_NAMESPACE}"
        self._hosts = (base, f"{base}.svc", f"{base}.svc.{settings.trust_domain}")
        self._renew()

    def current(self) -> Certificate:
        """Return one that is good for a while yet."""
        if now() >= self._due:
            self._renew()
        return self._certificate

    def _renew(self) -> None:
        pair = self._root.issue_server(self._hosts, now(), SERVER_LIFE)
        self._certificate = Certificate(pair.key, pair.certificate)
        self._due = now() + SERVER_LIFE / 2
