from dataclasses import replace
from pathlib import Path

import pytest

from outgate.envoy import launching
from outgate.envoy.launching import Account, Launch
from outgate.errors import EnvoyError


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    bootstrap = tmp_path / "b.json"
    bootstrap.write_text("{}")
    return Launch(Path("/opt/envoy"), bootstrap, tmp_path / "log", tmp_path)


def test_the_drain_time_is_given_in_whole_seconds(launch: Launch) -> None:
    line = " ".join(launching.command(replace(launch, drain_seconds=0.2)))
    assert "--drain-time-s 1" in line
    assert "--drain-time-s 3" in " ".join(launching.command(replace(launch, drain_seconds=2.5)))


def test_one_worker_a_core_unless_told_otherwise(launch: Launch) -> None:
    assert "--concurrency" not in launching.command(launch)
    assert "--concurrency 3" in " ".join(launching.command(replace(launch, concurrency=3)))


def test_an_account_keeps_only_its_capabilities(launch: Launch) -> None:
    line = launching.command(replace(launch, account=Account(7, 8, ("sys_admin", "net_admin"))))
    assert line[0].endswith("/setpriv")
    for flag in ("--inh-caps", "--ambient-caps", "--bounding-set"):
        assert line[line.index(flag) + 1] == "-all,+net_admin,+sys_admin"
    assert "--no-new-privs" in line
    assert line[line.index("--reuid") + 1] == "7"
    assert line[line.index("--regid") + 1] == "8"


def test_the_fingerprint_follows_command_line_and_content(launch: Launch) -> None:
    first = launching.fingerprint(launch)
    assert launching.fingerprint(launch) == first
    assert launching.fingerprint(replace(launch, concurrency=2)) != first
    launch.bootstrap.write_text("{ }")
    assert launching.fingerprint(launch) != first


def test_a_missing_bootstrap_is_named(launch: Launch) -> None:
    launch.bootstrap.unlink()
    with pytest.raises(EnvoyError, match=r"b\.json: No such file"):
        launching.fingerprint(launch)
