import pytest

from outgate import __main__
from outgate.cli import main as cli
from outgate.errors import NotFoundError


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (NotFoundError("no a\nno b"), 1, "error: no a\nerror: no b\n"),
        (
            KeyError("x"),
            70,
            "error: this is a fault of Outgate, please report it: KeyError: 'x' at ",
        ),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_no_traceback_reaches_a_user(
    error: BaseException,
    status: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli.cli, "main", fail)
    with pytest.raises(SystemExit) as found:
        __main__.main()
    assert found.value.code == status
    shown = capsys.readouterr().err
    assert shown.startswith(text)
    assert "Traceback" not in shown
    assert len(shown.splitlines()) == len(text.splitlines())
