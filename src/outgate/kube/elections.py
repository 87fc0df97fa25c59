"""Which of several replicas may write, as a state machine without I/O: the rules of client-go's leader election.

Who leads renews a Lease. Others judge it by how long they have seen it unchanged, by their own clock, never by the time
that is written in it: so clocks may differ. Who cannot renew stops leading before another may begin.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Lease = Mapping[str, Any]
"""A coordination.k8s.io/v1 Lease, as the API server has it."""

LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS = 15, 10.0, 2.0
"""client-go's: what others wait for, for how long one leads without having renewed, and how often one tries."""


def stamp(moment: datetime) -> str:
    """Write a time as a Lease has it (MicroTime)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(slots=True)
class Election:
    """What one replica has seen of the Lease; `now` is always its own monotonic clock, in seconds."""

    identity: str
    leads_until: float = float("-inf")
    _seen: tuple[Any, ...] | None = field(default=None)
    _changed_at: float = 0.0

    def leads(self, now: float) -> bool:
        """Whether this replica may write at this moment."""
        return now < self.leads_until

    def next(self, lease: Lease | None, now: float, wall: datetime) -> dict[str, Any] | None:
        """Take in the Lease as it is, and return the spec that is to be written; None: it is another's.

        `wall` is what is written for people to read.
        """
        spec: Mapping[str, Any] = (lease or {}).get("spec") or {}
        self._observe(lease, spec, now)
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self.identity) and now < self._free_at(spec):
            self.leads_until = float("-inf")
            return None
        transitions = int(spec.get("leaseTransitions") or 0)
        acquired = spec.get("acquireTime") if holder == self.identity else None
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": acquired or stamp(wall),
            "renewTime": stamp(wall),
            "leaseTransitions": transitions + (lease is not None and holder != self.identity),
        }

    def _observe(self, lease: Lease | None, spec: Mapping[str, Any], now: float) -> None:
        parts = ("holderIdentity", "acquireTime", "renewTime", "leaseTransitions")
        seen = None if lease is None else tuple(spec.get(each) for each in parts)
        if seen != self._seen:
            self._seen, self._changed_at = seen, now

    def _free_at(self, spec: Mapping[str, Any]) -> float:
        return self._changed_at + float(spec.get("leaseDurationSeconds") or LEASE_SECONDS)

    def written(self, begun: float) -> None:
        """Note that what `next` returned was written; `begun` is when writing began: others saw it no earlier."""
        self.leads_until = begun + RENEW_SECONDS

    def lost(self) -> None:
        """Note that another one was faster, or that this replica gives up."""
        self.leads_until = float("-inf")

    def released(self, lease: Lease | None, wall: datetime) -> dict[str, Any] | None:
        """Return the spec that lets another begin at once; None where the Lease is not this replica's."""
        self.lost()
        spec: Mapping[str, Any] = (lease or {}).get("spec") or {}
        if spec.get("holderIdentity") != self.identity:
            return None
        return {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "acquireTime": stamp(wall),
            "renewTime": stamp(wall),
            "leaseTransitions": int(spec.get("leaseTransitions") or 0),
        }
