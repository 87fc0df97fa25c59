"""Runs the system's own tools (`ip`, `nft`, `ss`), with their errors turned into ours."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from outgate.errors import HostError

_PACKAGES = {"ip": "iproute2", "ss": "iproute2", "nft": "nftables", "nsenter": "util-linux"}


async def run(*command: str, stdin: str = "", check: bool = True) -> str:
    """Run a command to its end and return its output; HostError with its own words if it fails."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as error:
        package = _PACKAGES.get(command[0], command[0])
        raise HostError(
            f"{command[0]} is not installed", hint=f"apt-get install {package}"
        ) from error
    output, errors = await process.communicate(stdin.encode())
    if check and process.returncode:
        said = " ".join(errors.decode(errors="replace").split())
        raise HostError(f"{' '.join(command[:4])}: {said or f'exit status {process.returncode}'}")
    return output.decode(errors="replace")


def inside(netns: Path, command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` in a network namespace."""
    return ["nsenter", f"--net={netns}", "--", *command]
