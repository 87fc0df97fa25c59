"""The veth pair between the host and the servers' namespace, by iproute2's `ip`."""

import socket
import subprocess
from pathlib import Path

from outgate.errors import HostError
from outgate.internet.plan import Plan


def has_ipv6() -> bool:
    """Tell whether a new interface on this machine can have IPv6 addresses."""
    try:
        return Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").read_text().strip() == "0"
    except OSError:
        return False


def reserve(plan: Plan) -> bool:
    """Make the pair, both ends on the host; False if there is one of that name already."""
    ends = (plan.interface, "type", "veth", "peer", "name", plan.inner_interface)
    done = _run(("ip", "link", "add", *ends))
    if done.returncode and "File exists" not in done.stderr:
        raise _refused(f"ip link add {' '.join(ends)}", done.stderr)
    return done.returncode == 0


def connect(plan: Plan, pid: int) -> None:
    """Give the inner end to the namespace of process `pid`, and both ends their addresses."""
    here, there = plan.interface, plan.inner_interface
    _batch(
        (),
        f"link set {there} netns {pid}",
        *(f"address add {address} dev {here} nodad" for address in plan.host_addresses),
        f"link set {here} up",
    )
    _batch(
        ("nsenter", f"--net=/proc/{pid}/ns/net"),
        "link set lo up",
        *(f"address add {address} dev {there} nodad" for address in plan.server_addresses),
        f"link set {there} up",
    )


def delete(interface: str) -> None:
    """Delete an interface and its other end; it may be gone already."""
    _run(("ip", "link", "delete", interface))


def names() -> list[str]:
    """Return the names of all interfaces in this network namespace."""
    return sorted(name for _, name in socket.if_nameindex())


def _batch(prefix: tuple[str, ...], *lines: str) -> None:
    done = _run((*prefix, "ip", "-batch", "-"), "\n".join(lines) + "\n")
    if done.returncode:
        raise _refused("; ".join(lines), done.stderr)


def _run(command: tuple[str, ...], text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - fixed programs and computed names
            command, input=text, capture_output=True, text=True, check=False
        )
    except OSError as error:
        hint = "install the packages iproute2 and util-linux"
        raise HostError(f"{command[0]}: {error.strerror}", hint=hint) from error


def _refused(what: str, said: str) -> HostError:
    return HostError(f"{what}: {' '.join(said.split())}", hint="the small internet needs root")
