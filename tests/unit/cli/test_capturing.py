"""The init container's command, run in a network namespace with the arguments that injection gives it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from outgate.cli.main import cli
from outgate.errors import UsageError
from outgate.inject import pod
from outgate.inject.options import Options
from outgate.model.ranges import parse_ranges

NETNS = "og-test-capturing"


RANGES = "10.96.0.0/12\nfd00:96::/112\n"


@pytest.fixture
def ranges(tmp_path: Path) -> Path:
    file = tmp_path / "cluster-ranges"
    file.write_text(RANGES)
    return file


def arguments(ranges: Path, include: str = "") -> list[str]:
    options = Options(include=parse_ranges(include, ""))
    template = {"spec": {"containers": [{"name": "hello"}]}}
    init = pod.inject(template, options)["spec"]["initContainers"][0]
    assert init["command"] == ["outgate", "capture-rules", "apply"]
    assert "--exclude-from=/etc/outgate/mesh/cluster-ranges" in init["args"]
    return [each.replace("/etc/outgate/mesh/cluster-ranges", str(ranges)) for each in init["args"]]


def printed(*words: str) -> str:
    result = CliRunner().invoke(cli, ["capture-rules", "print", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture
def netns() -> Iterator[str]:
    subprocess.run(["ip", "netns", "add", NETNS], check=True)
    yield NETNS
    subprocess.run(["ip", "netns", "del", NETNS], check=True)


@pytest.mark.root
def test_apply_puts_the_rules_in_place_and_may_be_repeated(netns: str, ranges: Path) -> None:
    command = [sys.executable, "-m", "outgate", "capture-rules", "apply"]
    inside = ["ip", "netns", "exec", netns]
    for _ in range(2):
        subprocess.run(
            [*inside, *command, *arguments(ranges, "10.0.0.1/24,2001:db8::/32")], check=True
        )
    listing = [*inside, "nft", "list", "ruleset"]
    done = subprocess.run(listing, check=True, capture_output=True, text=True)
    for rule in (
        "ip daddr { 10.0.0.0/24, 240.240.0.0/16 } meta l4proto tcp redirect to :15001",
        "ip6 daddr { 2001:2::/48, 2001:db8::/32 } meta l4proto tcp redirect to :15001",
    ):
        assert done.stdout.count(rule) == 1, rule
    # Where they are captured, and where they would be refused.
    assert done.stdout.count("fib daddr type local accept") == 2
    assert done.stdout.count("ip daddr 10.96.0.0/12 accept") == 2
    assert done.stdout.count("ip6 daddr fd00:96::/112 accept") == 2
    assert "dport 53" not in done.stdout


@pytest.mark.root
def test_only_net_admin_is_needed(netns: str, ranges: Path) -> None:
    """As in the init container: root without any other capability, and a system that cannot be written to."""
    command = ["setpriv", "--bounding-set=-all,+net_admin", "--inh-caps=-all", "--no-new-privs"]
    run = [*command, sys.executable, "-m", "outgate", "capture-rules", "apply", *arguments(ranges)]
    subprocess.run(["ip", "netns", "exec", netns, *run], check=True)
    listing = ["ip", "netns", "exec", netns, "nft", "list", "ruleset"]
    done = subprocess.run(listing, check=True, capture_output=True, text=True)
    assert "meta l4proto tcp redirect to :15001" in done.stdout


def test_print_shows_what_apply_does(ranges: Path) -> None:
    text = printed(*arguments(ranges))
    assert "    meta skuid 1337 accept\n" in text
    assert "    meta l4proto tcp redirect to :15001\n" in text
    assert "-A OUTGATE_OUTPUT" in printed(*arguments(ranges), "--format=iptables")
    assert "# ip6tables-restore" in printed(*arguments(ranges), "--format=iptables")


def test_ranges_are_checked() -> None:
    with pytest.raises(UsageError, match=r"^--include: "):
        printed("--proxy-uid=1337", "--include=10.0.0.1/33")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"10.0.0.0/33\n", "is not an IP range"),
        (b"\n", "names no range"),
        (b"\xff", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_ranges_in_a_file_are_checked(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "ranges"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=rf"^--exclude-from.*{message}"):
        printed("--proxy-uid=1337", f"--exclude-from={file}")
