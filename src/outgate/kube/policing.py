"""Keeps the network policies of our own pods, and where asked for of captured ones, as `policies` has them."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.kube import client as api
from outgate.kube import kinds, naming, policies
from outgate.kube.client import Client, Scope
from outgate.kube.policies import Held, Place, Spec
from outgate.kube.watching import Changes, Follower
from outgate.model.names import Name
from outgate.model.workloads import Network
from outgate.settings import Settings

_log = logging.getLogger(__name__)

MANAGER = "outgate-controller"
LABELS = {"app.kubernetes.io/managed-by": MANAGER}
OWN = Name(naming.SYSTEM_NAMESPACE, naming.EGRESS)
_RETRY_SECONDS = 2.0


@dataclass(slots=True, eq=False)
class Policies:
    """Writes one policy into each namespace, and again when somebody changes or removes it."""

    client: Client
    settings: Settings
    held: Held = Held.NONE
    labelled: dict[str, bool] = field(default_factory=dict)
    """The namespaces that there are, and whether all pods in them are captured."""
    found: dict[Name, Spec] = field(default_factory=dict)
    owner: str = ""
    """The UID of our own namespace: what is left when that goes would hold pods that nobody serves any more."""
    _inside: tuple[Network, ...] = ()
    _servers: frozenset[Place] = frozenset()
    _stale: set[Name] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def namespaces(self, changes: Changes) -> None:
        """Take in namespaces that came, went, or have another label; in one that is going nothing can be made."""
        for name, item in changes.items():
            if item is not None and name.name == naming.SYSTEM_NAMESPACE:
                self.owner = item["metadata"]["uid"]
            if item is None or (item.get("status") or {}).get("phase") == "Terminating":
                self.labelled.pop(name.name, None)
                continue
            labels = item["metadata"].get("labels") or {}
            every = labels.get(naming.INJECT_LABEL) == naming.INJECT_ENABLED
            if self.labelled.get(name.name) is not every:
                self.labelled[name.name] = every
                self._mark([_policy(name.name)])

    def policies(self, changes: Changes) -> None:
        """Take in the policies that there are."""
        for name, item in changes.items():
            if item is None:
                self.found.pop(name, None)
            else:
                self.found[name] = item.get("spec") or {}
        self._mark(changes)

    def inside(self, networks: Iterable[Network]) -> None:
        """Take in what is inside the cluster."""
        self._inside = tuple(networks)
        self._mark(map(_policy, self.labelled))

    def servers(self, changes: Changes) -> None:
        """Take in where the API server is, from its EndpointSlices."""
        found = [place for item in changes.values() if item for place in _places(item)]
        self._servers = frozenset(found)
        self._mark(map(_policy, self.labelled))

    async def run(self, complete: asyncio.Event) -> None:
        """Write what is missing or different, until cancelled; begin when `complete` is set."""
        await complete.wait()
        while True:
            self._wake.clear()
            stale, self._stale = self._stale, set()
            for name in sorted(stale, key=str):
                wanted = self._wanted(name)
                if wanted is None or self.found.get(name) == wanted:
                    continue
                if not await self._write(name, wanted):
                    self._stale.add(name)
            if self._stale:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                await self._wake.wait()

    def _wanted(self, name: Name) -> Spec | None:
        """Return what a policy is to say; None: there is to be none, or its namespace is going."""
        if name.namespace not in self.labelled:
            return None
        if name == OWN:
            return policies.egress(self.settings, self._inside)
        if self.held is Held.NONE or name != _policy(name.namespace):
            return None
        every = self.labelled[name.namespace]
        return policies.captured(self.held, self.settings, self._inside, self._servers, every=every)

    def _mark(self, names: Iterable[Name]) -> None:
        self._stale.update(names)
        self._wake.set()

    async def _write(self, name: Name, spec: Spec) -> bool:
        owner = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "name": naming.SYSTEM_NAMESPACE,
            "uid": self.owner,
        }
        metadata = {
            "name": name.name,
            "namespace": name.namespace,
            "labels": LABELS,
            "ownerReferences": [owner],
        }
        policy = kinds.NETWORK_POLICY({"metadata": metadata, "spec": spec})
        try:
            await self.client.apply(policy, field_manager=MANAGER, force=True)
        except api.TROUBLE as error:
            # The namespace may be going at this moment, which its own event will say.
            if api.code(error) not in (api.NOT_FOUND, 403):
                _log.warning("cannot write the network policy %s: %s", name, error)
            return False
        self.found[name] = spec
        return True


def followers(client: Client, kept: Policies) -> list[Follower]:
    """Return what has to be followed for that; by name, so that no right to read others is needed."""
    own = Scope(OWN.namespace, fields={"metadata.name": OWN.name})
    found = [Follower(client, kinds.NETWORK_POLICY, kept.policies, own)]
    if kept.held is not Held.NONE:
        every = Scope(fields={"metadata.name": naming.POLICY})
        found.append(Follower(client, kinds.NETWORK_POLICY, kept.policies, every))
    if kept.held is Held.CLUSTER:
        place = Scope(naming.API_SERVER_NAMESPACE, fields={"metadata.name": naming.API_SERVER})
        found.append(Follower(client, kinds.ENDPOINT_SLICE, kept.servers, place))
    return found


def _policy(namespace: str) -> Name:
    return OWN if namespace == OWN.namespace else Name(namespace, naming.POLICY)


def _places(item: Mapping[str, Any]) -> Iterable[Place]:
    for endpoint in item.get("endpoints") or ():
        for address in endpoint.get("addresses") or ():
            for port in item.get("ports") or ():
                if isinstance(port.get("port"), int):
                    yield address, port["port"]
