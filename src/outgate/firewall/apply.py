"""Applies rules: the one place of this package that changes the machine."""

import subprocess
from pathlib import Path

from outgate.errors import FirewallError
from outgate.firewall import nft
from outgate.firewall.rules import CaptureRules


def apply(rules: CaptureRules, netns: Path | None = None) -> None:
    """Put capture rules in place, in the network namespace `netns` or this one; FirewallError changes nothing."""
    load(nft.render(rules), netns)


def remove(netns: Path | None = None) -> None:
    """Take capture rules away; none are not an error."""
    load(nft.remove(), netns)


def load(text: str, netns: Path | None = None) -> None:
    """Have nft load a text, all of it or nothing."""
    command = ["nft", "-f", "-"]
    if netns is not None:
        command = ["nsenter", f"--net={netns}", "--", *command]
    try:
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise FirewallError("nft is not installed", hint="apt-get install nftables") from error
    if done.returncode:
        said = next(iter(done.stderr.splitlines()), f"exit status {done.returncode}")
        raise FirewallError(f"nft refused the rules: {said}")
