"""Starts and stops a small internet, and removes what a killed process left of one.

The servers' process makes the namespace, which has no name and so goes when that process does; with
it goes its end of the veth pair, and with that the other end. All the host ever sees is that one
interface with its two addresses: no route but theirs, no setting, no forwarding.
"""

import importlib.util
import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from outgate.errors import HostError, OutgateError
from outgate.internet import links, owners
from outgate.internet.certificates import CA_FILE
from outgate.internet.child import Child
from outgate.internet.plan import COUNT, PREFIX, TTL, Plan

_PACKAGES = ("cheroot", "dnslib", "httpbin")
_INTERFACE = re.compile(rf"{PREFIX}(\d+)")


class SmallInternet:
    """A small internet for the time of a `with` block, or between `start` and `stop`.

    It is number `index` of those on the machine (see `Plan`), or the first free one. Needs root.
    """

    def __init__(self, index: int | None = None) -> None:
        """Start nothing yet."""
        self._wanted = range(COUNT) if index is None else (index,)
        self._plan: Plan | None = None
        self._folder: Path | None = None
        self._child: Child | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    @property
    def plan(self) -> Plan:
        """Its addresses, names and servers; OutgateError if it does not run."""
        if self._plan is None:
            raise OutgateError("the small internet does not run", hint="call start()")
        return self._plan

    @property
    def resolver(self) -> str:
        """The address of its DNS server (port 53)."""
        return self.plan.resolver

    @property
    def ca_file(self) -> Path:
        """The certificate of the CA that its good certificates chain to (PEM), for all to read."""
        return self._file(CA_FILE)

    @property
    def namespace(self) -> Path:
        """Its network namespace, for setns."""
        return Path(f"/proc/{self._running.pid}/ns/net")

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise OutgateError("the small internet does not run", hint="call start()")
        return self._child

    def start(self) -> None:
        """Start it; HostError if the machine refuses, OutgateError if a package is missing.

        If this fails, nothing of it is left.
        """
        _require_packages()
        self.sweep()
        try:
            plan, folder = self._reserve()
            config = {"index": plan.index, "ipv6": plan.ipv6, "folder": str(folder)}
            (folder / "config").write_text(json.dumps(config), encoding="utf-8")
            self._child = Child(folder)
            owners.record_server(folder, self._child.pid)
            self._child.wait_for_namespace()
            links.connect(plan, self._child.pid)
            self._child.call("open")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and remove all of it; does nothing if it does not run."""
        if self._plan is not None:
            # It would go with the namespace, but only some time later.
            links.delete(self._plan.interface)
        if self._child is not None:
            self._child.end()
        if self._folder is not None:
            owners.forget(self._folder)
        self._plan = self._child = self._folder = None

    def canary(self, since: int = 0) -> list[dict[str, Any]]:
        """Return all that has arrived up to now, in order, without the first `since` records.

        Each has `time` (seconds since the epoch) and `kind`: "packet" (`protocol`, `source`,
        `destination`, `port`, `source_port`; the first of each TCP connection, and all others),
        "query" (`name`, `type`, `source`, `transport`), "tls" (`server`, `sni`), "request"
        (`server`, `method`, `path`, `headers`, `source`), "connection" and "datagram" (`server`,
        `source`). "lost" (`count`) means that packets came faster than they could be recorded.
        """
        self._running.call("flush")
        lines = self._file("canary").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines[since:]]

    def set_record(self, name: str, kind: str, values: Sequence[str], ttl: int = TTL) -> None:
        """Replace the DNS records of a name and type, values as in a zone file; none: remove."""
        self._running.call("record", name=name, type=kind, values=list(values), ttl=ttl)

    def pause(self, server: str) -> None:
        """Stop the server of this name (`Server.name`): connections to it are refused."""
        self._running.call("pause", server=server)

    def resume(self, server: str) -> None:
        """Start it again."""
        self._running.call("resume", server=server)

    def load(self, module: str, path: Path) -> None:
        """Have a Python module, from folder `path`, add servers: `resume` starts each of them.

        Its `extend(plan, context)` returns a `services.Extension`. What only some tests need costs
        others, and the demo, nothing then.
        """
        self._running.call("load", module=module, path=str(path))

    def tell(self, what: str, **arguments: Any) -> None:
        """Have a module that was loaded do something; arguments are what JSON can say."""
        self._running.call("tell", what=what, arguments=arguments)

    @staticmethod
    def sweep() -> None:
        """Remove what processes that were killed have left of small internets."""
        # Interfaces first: the folder of each was made before it, so none can be missed below.
        names = links.names()
        used = set()
        for folder, index, owner in owners.folders():
            if owner.lives():
                used.add(index)
            else:
                owners.end_server(folder)
                owners.forget(folder)
        for name in names:
            match = _INTERFACE.fullmatch(name)
            if match and int(match[1]) not in used:
                links.delete(name)

    def _file(self, name: str) -> Path:
        return owners.folder_for(self.plan.index) / name

    def _reserve(self) -> tuple[Plan, Path]:
        """Make the folder, and the interface, whose name only one can take."""
        for index in self._wanted:
            plan, folder = Plan(index, ipv6=links.has_ipv6()), owners.folder_for(index)
            try:
                folder.mkdir(mode=0o755, parents=True)
            except FileExistsError:
                continue  # Another small internet of this very process.
            except OSError as error:
                raise HostError(f"{folder}: {error.strerror}", hint="run as root") from error
            self._folder = folder
            if links.reserve(plan):
                self._plan = plan
                return plan, folder
            self._folder = None
            owners.forget(folder)
        taken = ", ".join(str(index) for index in self._wanted)
        raise HostError(f"in use on this machine: small internet {taken}")


def _require_packages() -> None:
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise OutgateError(
            f"the small internet needs the Python packages {', '.join(missing)}",
            hint="pip install 'outgate[demo]'",
        )
