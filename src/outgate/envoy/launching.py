"""What is started as Envoy: the command line and the account, as a value that can be compared."""

import hashlib
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from outgate.errors import EnvoyError

CAPABILITIES = ("net_admin", "net_bind_service", "sys_admin")
"""What Envoy needs: marks on sockets, ports below 1024, listeners in another network namespace."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom Envoy runs as; it keeps `capabilities` (names without CAP_) and can gain no others."""

    uid: int
    gid: int
    capabilities: tuple[str, ...] = CAPABILITIES


@dataclass(frozen=True, slots=True)
class Launch:
    """How one Envoy is started.

    `bootstrap` is a file of configuration, `log_file` takes standard output and error, `directory`
    is the working directory. `concurrency` is the number of worker threads, 0 one a core;
    `drain_seconds` how long listeners stay open in a drain. Without an `account` Envoy runs as the
    caller. With `netns` it runs in that network namespace. It inherits no environment and no
    file descriptor.
    """

    binary: Path
    bootstrap: Path
    log_file: Path
    directory: Path
    concurrency: int = 0
    drain_seconds: float = 5.0
    log_level: str = "info"
    account: Account | None = None
    netns: Path | None = None


def command(launch: Launch) -> tuple[str, ...]:
    """Return the command line; with an account it begins with setpriv (EnvoyError if missing)."""
    arguments: tuple[str, ...] = (
        *(str(launch.binary), "--config-path", str(launch.bootstrap)),
        # Hot restart needs shared memory under an id that other Envoys on the machine could clash
        # with.
        *("--disable-hot-restart", "--log-level", launch.log_level),
        # At once, not spread over the drain time: nobody takes over, so there is no herd to avoid.
        *("--drain-strategy", "immediate"),
        # The access log is looked at while things happen; Envoy's default is 10 s.
        *("--file-flush-interval-msec", "200"),
        *("--drain-time-s", str(max(1, math.ceil(launch.drain_seconds)))),
    )
    if launch.concurrency:
        arguments += ("--concurrency", str(launch.concurrency))
    if launch.account is not None:
        arguments = _privileges(launch.account) + arguments
    return arguments if launch.netns is None else _inside(launch.netns) + arguments


def _inside(netns: Path) -> tuple[str, ...]:
    nsenter = shutil.which("nsenter")
    if nsenter is None:
        raise EnvoyError("nsenter is not installed", hint="install the package util-linux")
    return (nsenter, f"--net={netns}", "--")


def fingerprint(launch: Launch) -> str:
    """Return a digest of the command line and the bootstrap: what a running Envoy cannot change."""
    try:
        content = launch.bootstrap.read_bytes()
    except OSError as error:
        raise EnvoyError(f"{launch.bootstrap}: {error.strerror}") from error
    digest = hashlib.sha256("\0".join(command(launch)).encode())
    digest.update(b"\0" + content)
    return digest.hexdigest()


def _privileges(account: Account) -> tuple[str, ...]:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EnvoyError("setpriv is not installed", hint="install the package util-linux")
    wanted = ",".join(("-all", *(f"+{name}" for name in sorted(account.capabilities))))
    return (
        *(setpriv, "--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups"),
        *("--inh-caps", wanted, "--ambient-caps", wanted, "--bounding-set", wanted),
        "--no-new-privs",
    )
