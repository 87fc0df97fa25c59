"""Asks the controller in this container about itself: see `outgate.kube.debugging`, which answers.

Each `outgate status` starts a process for that, so that nothing is imported here of what a controller is made of.
"""

from typing import Any

import aiohttp

from outgate.errors import UnavailableError, UsageError
from outgate.kube import naming


async def ask(path: str, socket: str = naming.DEBUG_SOCKET) -> Any:
    """Return the answer of the controller in this container; UsageError where there is none."""
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket)) as session,
            session.get(f"http://controller{path}") as response,
        ):
            return await response.json()
    except aiohttp.ClientConnectorError as error:
        raise UsageError(f"there is no controller here: {socket} is not there") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise UnavailableError(f"the controller does not answer: {error}") from error
