from pathlib import Path

from outgate.envoy.logs import explain, tail, warnings

_REJECTED = """\
[2026-01-02 03:04:05.678][6100][info][main] [source/server/server.cc:989] runtime: {}
[2026-01-02 03:04:05.679][6100][critical][main] [source/server/server.cc:420] error initializing \
config '/run/b.json': Didn't find a registered implementation for 'x'
[2026-01-02 03:04:05.680][6100][info][main] [source/server/server.cc:1159] exiting
"""
_CRASHED = """\
[2026-01-02 03:04:05.679][7][critical][assert] [source/a.cc:1] assert failure: !empty(). Details: x
[2026-01-02 03:04:05.680][7][critical][backtrace] [./source/b.h:127] Caught Aborted, address 0x1
[2026-01-02 03:04:05.681][7][critical][backtrace] [./source/b.h:121] #0: __restore_rt [0x7f00]
"""


def test_the_grave_line_is_picked_without_its_prefix() -> None:
    expected = "error initializing config '/run/b.json': Didn't find a registered implementation"
    assert explain(_REJECTED) == f"{expected} for 'x'"


def test_a_crash_shows_its_cause_and_not_the_backtrace() -> None:
    assert explain(_CRASHED) == "assert failure: !empty(). Details: x"


def test_a_message_over_several_lines_is_shown_by_what_is_wrong_with_it() -> None:
    printed = "goo.gle/debugonly   \nstatic_resources {\n  clusters {\n  }\n}\n: "
    cause = "Proto constraint validation failed (Name: value length must be at least 1)"
    log = _REJECTED.replace("Didn't find a registered implementation for 'x'", printed + cause)
    assert explain(log) == f"error initializing config '/run/b.json': {cause}"


def test_without_a_grave_line_the_last_one_is_picked() -> None:
    assert explain("first\nsetpriv: failed to execute /x: Permission denied\n\n").endswith("denied")


def test_silence_is_said_to_be_silence() -> None:
    assert explain("") == "no output"


def test_a_very_long_line_is_cut() -> None:
    assert len(explain("x" * 100_000)) == 1000


def test_warnings_come_without_prefix_in_order() -> None:
    line = "[2026-01-02 03:04:05.679][7][warning][misc] [source/a.cc:1] "
    assert warnings(f"{line}one\n{_REJECTED}{line}two\n") == ("one", "two")


def test_only_the_tail_after_the_offset_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\nnew\n")
    assert tail(log, 4) == "new\n"
    assert tail(tmp_path / "gone", 0) == ""


def test_a_log_that_was_replaced_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("new\n")
    assert tail(log, 1_000) == "new\n"


def test_a_huge_log_is_read_at_its_end_only(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("x" * 1_000_000 + "\nend")
    assert tail(log, 0).endswith("\nend")
    assert len(tail(log, 0)) == 64 * 1024
