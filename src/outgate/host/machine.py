"""What the daemon takes from this machine: its resolvers, its CA bundle, ports that are free."""

import json
import socket
import ssl
from pathlib import Path

from outgate.errors import HostError, UsageError
from outgate.host.store import write_atomically
from outgate.settings import Settings

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # SUSE
)


def ca_file(settings: Settings) -> str:
    """Return the CA bundle that upstream certificates must chain to."""
    if settings.ca_file is not None:
        if not settings.ca_file.is_file():
            raise UsageError(f"OUTGATE_CA_FILE: {settings.ca_file} is not a file")
        return str(settings.ca_file.resolve())
    for path in (ssl.get_default_verify_paths().cafile, *_BUNDLES):
        if path and Path(path).is_file():
            return path
    raise HostError(
        "no CA bundle was found", hint="apt-get install ca-certificates, or set OUTGATE_CA_FILE"
    )


def resolvers(settings: Settings) -> tuple[str, ...]:
    """Return the addresses that answer for names outside; those of resolv.conf unless they are set."""
    if settings.resolvers:
        return settings.resolvers
    try:
        lines = Path("/etc/resolv.conf").read_text().splitlines()
    except OSError:
        return ()
    words = (line.split() for line in lines)
    # An address with a scope ("fe80::1%eth0") is none that Envoy takes.
    return tuple(each[1] for each in words if each[:1] == ["nameserver"] and "%" not in each[1])


def dns_ports(path: Path) -> tuple[int, int]:
    """Return two UDP ports on the loopback, kept in `path` so that a running Envoy goes on with its own."""
    if path.exists():
        first, second = json.loads(path.read_text())
        return int(first), int(second)
    with _bound() as one, _bound() as other:
        ports = one.getsockname()[1], other.getsockname()[1]
    write_atomically(path, json.dumps(ports).encode())
    return ports


def _bound() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    return bound
