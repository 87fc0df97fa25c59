import shutil
from pathlib import Path

import pytest

from outgate.errors import FirewallError
from outgate.firewall import apply as firewall
from outgate.firewall.apply import Backend

TOOLS = ("nft", "iptables-save")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which only what a test puts there is found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def put(tools: Path, name: str, script: str = "exit 0") -> None:
    (tools / name).write_text(f"#!/bin/sh\n{script}\n")
    (tools / name).chmod(0o755)


@pytest.mark.root
def test_nft_is_taken_where_it_works() -> None:
    assert all(shutil.which(each) for each in TOOLS)
    assert firewall.choose() is Backend.NFT


def test_iptables_where_there_is_no_nft(tools: Path) -> None:
    put(tools, "iptables-save")
    assert firewall.choose() is Backend.IPTABLES


def test_iptables_where_the_kernel_does_not_take_nft(tools: Path) -> None:
    put(
        tools,
        "nft",
        "echo 'netlink: Error: cache initialization failed: Protocol not supported' >&2; exit 1",
    )
    put(tools, "iptables-save")
    assert firewall.choose() is Backend.IPTABLES


def test_neither(tools: Path) -> None:
    del tools
    with pytest.raises(FirewallError) as error:
        firewall.choose()
    assert error.value.message == "nft is not installed; iptables-save is not installed"
    assert error.value.hint


def test_what_is_refused_is_told_in_one_line(tools: Path) -> None:
    put(tools, "nft", "echo first >&2; echo second >&2; exit 1")
    with pytest.raises(FirewallError, match=r"^nft refused the rules: first$"):
        firewall.load("nonsense")
