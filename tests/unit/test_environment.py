import pytest

from outgate import environment


def test_a_captured_command_does_not_see_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTGATE_STATE_DIR", "/secret")
    monkeypatch.setenv("OTHER", "1")
    assert "OUTGATE_STATE_DIR" not in environment.for_workloads()
    assert environment.for_workloads()["OTHER"] == "1"
    assert environment.inherited()["OUTGATE_STATE_DIR"] == "/secret"


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTGATE_CAPTURE", "node")
    environment.override("capture", "sidecar")
    assert environment.settings().capture == "sidecar"
