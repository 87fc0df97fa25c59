"""Issues the certificates of tunnels' ends, and renews each at half of its life, without a connection being dropped."""

import asyncio
import datetime
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from outgate.serve.authority import Authority
from outgate.serve.publishing import Publisher
from outgate.settings import Settings
from outgate.xds import secrets, tunnels

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime.datetime]


def now() -> datetime.datetime:
    """Return the time, in UTC."""
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a certificate is for, and under which name its proxy asks for it."""

    secret: str
    identity: str
    namespace: str = ""
    pod: str = ""


@dataclass(slots=True, eq=False)
class Certificates:
    """Keeps each publisher's certificate fresh."""

    root: Authority
    settings: Settings
    clock: Clock = now
    subjects: dict[Publisher, tuple[Subject, datetime.datetime]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, publisher: Publisher, subject: Subject) -> None:
        """Issue a certificate, publish it with the bundle to trust, and go on renewing it."""
        self._issue(publisher, subject)
        publisher.publish((secrets.trust(tunnels.TRUST, self.root.bundle),))
        self._changed.set()

    def remove(self, publisher: Publisher) -> None:
        """Renew it no more."""
        self.subjects.pop(publisher, None)

    def _issue(self, publisher: Publisher, subject: Subject) -> None:
        life = datetime.timedelta(hours=self.settings.certificate_hours)
        pair = self.root.issue(
            subject.identity, self.clock(), life, namespace=subject.namespace, pod=subject.pod
        )
        self.subjects[publisher] = (subject, self.clock() + life / 2)
        publisher.publish((secrets.certificate(subject.secret, pair.certificate, pair.key),))

    async def run(self) -> None:
        """Renew what is due, until cancelled."""
        while True:
            self._changed.clear()
            for publisher, (subject, due) in list(self.subjects.items()):
                if due <= self.clock():
                    self._issue(publisher, subject)
                    _log.info("renewed the certificate of %s", subject.identity)
            next_due = min((due for _, due in self.subjects.values()), default=None)
            pause = (next_due - self.clock()).total_seconds() if next_due else None
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue
