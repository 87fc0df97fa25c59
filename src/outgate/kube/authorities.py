"""The certificate authority of a cluster's mesh: one for all replicas of the controller, kept in a Secret.

Whoever comes first makes it; the API server lets only one of two that come at once.
"""

import base64
import datetime
from pathlib import PurePosixPath

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Secret

from outgate.errors import UnavailableError
from outgate.kube import client as api
from outgate.kube import naming
from outgate.kube.client import Client
from outgate.serve import authority
from outgate.serve.authority import Authority
from outgate.serve.certificates import now
from outgate.serve.server import Certificate
from outgate.settings import Settings

_KEY = "root.pem"
_PLACE = PurePosixPath("secrets", naming.SYSTEM_NAMESPACE, naming.CA_SECRET)
SERVER_LIFE = datetime.timedelta(days=7)


async def obtain(client: Client, settings: Settings) -> Authority:
    """Return the authority, made at the first start; HostError if what is kept cannot be used."""
    try:
        return await _read(client)
    except api.ApiError as error:
        if api.code(error) != api.NOT_FOUND:
            raise UnavailableError(f"cannot read {_PLACE}: {error}") from error
    made = authority.create(now(), settings.trust_domain)
    secret = Secret(
        metadata=ObjectMeta(name=naming.CA_SECRET, namespace=naming.SYSTEM_NAMESPACE),
        type="Opaque",
        data={_KEY: base64.b64encode(authority.dump(made)).decode()},
    )
    try:
        await client.create(secret)
    except api.ApiError as error:
        if api.code(error) != api.CONFLICT:
            raise UnavailableError(f"cannot write {_PLACE}: {error}") from error
    # Another replica may have been first.
    return await _read(client)


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
