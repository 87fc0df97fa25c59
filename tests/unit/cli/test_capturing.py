"""The init container's command, run in a network namespace with the arguments that injection gives it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from outgate.cli.main import cli
from outgate.errors import UsageError
from outgate.inject import pod
from outgate.inject.options import Options
from outgate.model.ranges import parse_ranges

NETNS = "og-test-capturing"


def arguments(include: str = "") -> list[str]:
    options = Options(include=parse_ranges(include, ""))
    template = {"spec": {"containers": [{"name": "hello"}]}}
    init = pod.inject(template, options)["spec"]["initContainers"][0]
    assert init["command"] == ["outgate", "capture-rules", "apply"]
    return [str(each) for each in init["args"]]


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
def test_apply_puts_the_rules_in_place_and_may_be_repeated(netns: str) -> None:
    command = [sys.executable, "-m", "outgate", "capture-rules", "apply"]
    inside = ["ip", "netns", "exec", netns]
    for _ in range(2):
        subprocess.run([*inside, *command, *arguments("10.0.0.1/24,2001:db8::/32")], check=True)
    listing = [*inside, "nft", "list", "ruleset"]
    done = subprocess.run(listing, check=True, capture_output=True, text=True)
    for rule in (
        "meta skuid 1337 accept",
        "udp dport 53 redirect to :15053",
        "ip daddr { 10.0.0.0/24, 240.240.0.0/16 } meta l4proto tcp redirect to :15001",
        "ip6 daddr { 2001:2::/48, 2001:db8::/32 } meta l4proto tcp redirect to :15001",
        "fib daddr type local accept",
    ):
        assert done.stdout.count(rule) == 1, rule


@pytest.mark.root
def test_only_net_admin_is_needed(netns: str) -> None:
    """As in the init container: root without any other capability, and a system that cannot be written to."""
    command = ["setpriv", "--bounding-set=-all,+net_admin", "--inh-caps=-all", "--no-new-privs"]
    run = [*command, sys.executable, "-m", "outgate", "capture-rules", "apply", *arguments()]
    subprocess.run(["ip", "netns", "exec", netns, *run], check=True)
    listing = ["ip", "netns", "exec", netns, "nft", "list", "ruleset"]
    done = subprocess.run(listing, check=True, capture_output=True, text=True)
    assert "meta l4proto tcp redirect to :15001" in done.stdout


def test_print_shows_what_apply_does() -> None:
    text = printed(*arguments())
    assert "    meta skuid 1337 accept\n" in text
    assert "    meta l4proto tcp redirect to :15001\n" in text
    assert "-A OUTGATE_OUTPUT" in printed(*arguments(), "--format=iptables")
    assert "# ip6tables-restore" in printed(*arguments(), "--format=iptables")


def test_ranges_are_checked() -> None:
    with pytest.raises(UsageError, match=r"^--include: "):
        printed("--proxy-uid=1337", "--include=10.0.0.1/33")
