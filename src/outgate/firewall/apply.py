"""Applies rules: the one place of this package that changes the machine.

nft does it where it works, as it replaces everything in one step; else iptables, which older kernels and images have.
"""

import enum
import subprocess
from pathlib import Path

from outgate.errors import FirewallError
from outgate.firewall import iptables, nft
from outgate.firewall.rules import CaptureRules

_COMMANDS = {4: "iptables", 6: "ip6tables"}


class Backend(enum.StrEnum):
    """What puts rules in place."""

    NFT = "nft"
    IPTABLES = "iptables"


def choose(netns: Path | None = None) -> Backend:
    """Return nft if it works in a network namespace, else iptables; FirewallError if neither does."""
    said = []
    for backend, command in (
        (Backend.NFT, ["nft", "list", "tables"]),
        (Backend.IPTABLES, ["iptables-save"]),
    ):
        try:
            _run(command, netns)
        except FirewallError as error:
            said.append(error.message)
        else:
            return backend
    raise FirewallError("; ".join(said), hint="apt-get install nftables; rules need root")


def apply(rules: CaptureRules, netns: Path | None = None, backend: Backend | None = None) -> None:
    """Put capture rules in place, in the network namespace `netns` or this one.

    On a FirewallError nft has changed nothing; iptables may have refused one table or IP version after another took it.
    """
    match backend or choose(netns):
        case Backend.NFT:
            load(nft.render(rules), netns)
        case Backend.IPTABLES:
            for version, command in _COMMANDS.items():
                text = iptables.render(rules, version, _run([f"{command}-save"], netns))
                _run([f"{command}-restore", "--noflush"], netns, text)


def remove(netns: Path | None = None, backend: Backend | None = None) -> None:
    """Take capture rules away; none are not an error."""
    match backend or choose(netns):
        case Backend.NFT:
            load(nft.remove(), netns)
        case Backend.IPTABLES:
            for command in _COMMANDS.values():
                if text := iptables.remove(_run([f"{command}-save"], netns)):
                    _run([f"{command}-restore", "--noflush"], netns, text)


def load(text: str, netns: Path | None = None) -> None:
    """Have nft load a text, all of it or nothing."""
    _run(["nft", "-f", "-"], netns, text)


def _run(command: list[str], netns: Path | None, text: str = "") -> str:
    tool = command[0]
    if netns is not None:
        command = ["nsenter", f"--net={netns}", "--", *command]
    try:
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise _missing(tool) from error
    if done.returncode == 127 and "No such file" in done.stderr:
        raise _missing(tool)
    if done.returncode:
        said = next(iter(done.stderr.splitlines()), f"exit status {done.returncode}")
        raise FirewallError(f"{tool} refused the rules: {said}")
    return done.stdout


def _missing(tool: str) -> FirewallError:
    package = "nftables" if tool == "nft" else "iptables"
    return FirewallError(f"{tool} is not installed", hint=f"apt-get install {package}")
