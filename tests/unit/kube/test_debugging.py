import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from outgate.errors import UsageError
from outgate.kube.debugging import Debug
from outgate.kube.inquiring import ask


def debug(server: Any = None) -> Debug:
    absent: Any = None
    return Debug(absent, absent, server, absent, asyncio.Event(), "cluster.local")


async def test_without_a_controller_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no controller here"):
        await ask("/status", str(tmp_path / "none.sock"))


async def test_only_the_owner_may_ask_and_errors_are_answers(tmp_path: Path) -> None:
    path = tmp_path / "debug.sock"
    async with debug(server=SimpleNamespace(proxies=lambda: ())).serving(str(path)):
        assert path.stat().st_mode & 0o777 == 0o600
        found = await ask("/resources?node=sidecar~a.b", str(path))
        assert found["error"]["kind"] == "NotFoundError"
        assert "not connected" in found["error"]["message"]
        other = await ask("/later", str(path))
        assert "another version" in other["error"]["message"]


async def test_where_it_cannot_listen_calls_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with debug().serving(str(tmp_path / "none" / "debug.sock")):
        assert "nobody can ask this controller" in caplog.text
