import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from outgate.errors import HostError, OutgateError
from outgate.internet import links, manager, owners
from outgate.internet.manager import SmallInternet
from outgate.internet.plan import Plan

pytestmark = pytest.mark.root


def _interfaces() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def _folders(index: int) -> list[str]:
    return [path.name for path, number, _ in owners.folders() if number == index]


def _left() -> list[str]:
    """What this process has left: its folders, and interfaces that are nobody's."""
    mine = [path.name for path, _, owner in owners.folders() if owner.pid == os.getpid()]
    used = {f"ogi-{index}{end}" for _, index, _ in owners.folders() for end in ("", "p")}
    return mine + [name for name in _interfaces() - used if name.startswith("ogi-")]


def _asks_for_a_name(net: SmallInternet) -> bool:
    with socket.create_connection((net.resolver, 53), timeout=5):
        return True


def test_several_run_side_by_side_and_leave_nothing() -> None:
    with SmallInternet() as first, SmallInternet() as second:
        assert second.plan.index != first.plan.index
        assert _asks_for_a_name(first)
        assert _asks_for_a_name(second)
        with pytest.raises(HostError, match=f"in use.*{second.plan.index}"):
            SmallInternet(second.plan.index).start()
        assert _asks_for_a_name(second)
    assert _left() == []


def test_all_in_use_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "reserve", lambda _plan: False)
    with pytest.raises(HostError, match="in use on this machine"):
        SmallInternet().start()
    assert _left() == []


# In a network namespace of its own, where nobody else changes anything meanwhile, nor names one.
_ALONE = 'mkdir -p /run/netns && mount -t tmpfs none /run/netns && exec "$@"'
_HOST = """
import contextlib, json, pathlib, subprocess, time
from outgate.internet.manager import SmallInternet

def state():
    commands = ("ip route show table all", "ip -6 route show table all", "ip rule", "ip -6 rule",
                "ip netns list", "nft list ruleset", "ip -br link")
    lines = [line for command in commands
             for line in subprocess.run(command.split(), capture_output=True, text=True).stdout.splitlines()]
    for path in pathlib.Path("/proc/sys/net").rglob("*"):
        # Some cannot be read by anyone, and one counts what happens.
        with contextlib.suppress(OSError):
            if path.is_file() and path.name != "nf_conntrack_count":
                lines.append(f"{path} {path.read_text()}")
    return lines

before = state()
net = SmallInternet()
with net:
    time.sleep(0.1)
    during = state()
print(json.dumps([before, during, state()]))
"""


def test_nothing_of_the_host_changes_but_one_interface() -> None:
    alone = ("unshare", "--net", "--mount", "sh", "-c", _ALONE, "sh")
    command = [*alone, sys.executable, "-c", _HOST]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, during, after = json.loads(done.stdout)
    assert after == before
    new = set(during) - set(before)
    assert new
    assert all("ogi-" in line for line in new), new
    assert not any(line.startswith("default") for line in new)


def test_it_starts_within_two_seconds() -> None:
    started = time.monotonic()
    with SmallInternet():
        taken = time.monotonic() - started
    # On a machine that does other things too, as much longer as it is busy.
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert taken < 2 * busy


_OWNER = """
import time
from outgate.internet.manager import SmallInternet
net = SmallInternet()
net.start()
print(net.plan.index, net.namespace.parts[2], flush=True)
time.sleep(60)
"""

Orphan = tuple[subprocess.Popen[str], int, int]


@pytest.fixture
def orphan() -> Iterator[Orphan]:
    """A small internet of another process: that, its index, and its servers' pid."""
    command = [sys.executable, "-c", _OWNER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        index, server = map(int, owner.stdout.readline().split())
        yield owner, index, server
        owner.kill()


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_that_of_a_killed_owner_goes_by_itself(orphan: Orphan) -> None:
    owner, index, server = orphan
    known = owners.owner_of(server)
    owner.kill()
    owner.wait()
    _wait_for(lambda: not known.lives())
    _wait_for(lambda: f"ogi-{index}" not in _interfaces())
    assert _folders(index) == []


def test_sweep_removes_that_of_a_killed_owner_even_if_its_servers_hang(orphan: Orphan) -> None:
    owner, index, server = orphan
    known = owners.owner_of(server)
    os.kill(server, signal.SIGSTOP)
    SmallInternet.sweep()
    assert f"ogi-{index}" in _interfaces(), "its owner lives"
    owner.kill()
    owner.wait()
    SmallInternet.sweep()
    assert f"ogi-{index}" not in _interfaces()
    assert _folders(index) == []
    _wait_for(lambda: not known.lives())
    named = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    assert "ogi-" not in named.stdout


def test_sweep_removes_an_interface_that_was_never_connected() -> None:
    plan = Plan(15)
    assert links.reserve(plan)
    SmallInternet.sweep()
    assert not {plan.interface, plan.inner_interface} & _interfaces()


def test_servers_that_are_killed_are_an_error_and_leave_nothing() -> None:
    net = SmallInternet()
    net.start()
    os.kill(int(net.namespace.parts[2]), signal.SIGKILL)
    with pytest.raises(HostError, match="servers failed"):
        net.canary()
    net.stop()
    assert _left() == []


def test_a_failure_midway_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise HostError("refused")

    monkeypatch.setattr(links, "connect", refuse)
    with pytest.raises(HostError, match="refused"):
        SmallInternet().start()
    assert _left() == []


def test_the_reason_why_servers_do_not_start_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "connect", lambda *_arguments: None)
    with pytest.raises(OutgateError, match=r"small internet: .*No such device"):
        SmallInternet().start()
    assert _left() == []


def test_without_root_it_says_what_is_needed() -> None:
    script = "from outgate.internet.manager import SmallInternet; SmallInternet().start()"
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "HostError" in done.stderr
    assert "root" in done.stderr.splitlines()[-1]
    assert _left() == []


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "_PACKAGES", ("cheroot", "outgate_no_such_package"))
    expected = r"outgate_no_such_package \(pip install 'outgate\[demo\]'\)"
    with pytest.raises(OutgateError, match=expected):
        SmallInternet().start()


def test_one_that_does_not_run_says_so() -> None:
    net = SmallInternet()
    net.stop()
    for use in (lambda: net.resolver, net.canary, lambda: net.ca_file):
        with pytest.raises(OutgateError, match="does not run"):
            use()
