"""How a test starts the servers of `extension`, and tells them what to do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from outgate.internet.certificates import Pair
from outgate.internet.manager import SmallInternet
from outgate.internet.plan import Certificate

_PROJECT = Path(__file__).parents[2]


class Outside:
    """The servers that only tests want, of a small internet that runs. See `extension` for what there is."""

    def __init__(self, internet: SmallInternet) -> None:
        self.internet = internet
        internet.load("tests.outside.extension", _PROJECT)

    @property
    def ca(self) -> str:
        """The certificate that the servers' chain to, PEM."""
        return self.internet.ca_file.read_text()

    def open(self, *servers: str) -> None:
        """Start these; none starts by itself."""
        for each in servers:
            self.internet.resume(each)

    def behave(
        self,
        server: str,
        *,
        status: int = 200,
        delay: float = 0,
        path: str = "/",
        statuses: Sequence[int] = (),
    ) -> None:
        """Have a web server answer all requests below `path` so, from now on; with no more said, as usual again.

        `statuses` come one after the other, then `status`. `delay` is in seconds. To be down is `internet.pause`.
        """
        self.internet.tell(
            "behave", server=server, status=status, delay=delay, path=path, statuses=list(statuses)
        )  # fmt: skip

    def client_certificate(self, name: str) -> Pair:
        """Return a certificate for a client of this name, and its key; only root can read the key."""
        return self._issue(name, Certificate.CLIENT)

    def server_certificate(self, host: str) -> Pair:
        """Return a certificate for a server of this name, and its key; only root can read the key."""
        return self._issue(host, Certificate.TRUSTED)

    def _issue(self, name: str, kind: Certificate) -> Pair:
        self.internet.tell("issue", name=name, kind=kind)
        folder = self.internet.ca_file.parent
        return Pair(folder / f"{name}.pem", folder / f"{name}.key")

    def seen(self, since: int, kind: str, server: str) -> list[dict[str, Any]]:
        """Return what a server recorded after the first `since` records: "request", "tls", "connection", "proxied"."""
        records = self.internet.canary(since)
        return [each for each in records if each["kind"] == kind and each.get("server") == server]
