import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from outgate.cli import places
from outgate.cli.main import cli
from outgate.errors import OutgateError, UnavailableError, UsageError

NONE = {"context": "", "kubeconfig": ""}


@pytest.fixture(autouse=True)
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mesh is up, and no cluster is named."""
    monkeypatch.setenv("OUTGATE_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("OUTGATE_LOG_DIR", str(tmp_path / "log"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)


def run(*words: str) -> str:
    return CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False).output


def kubeconfig(path: Path, server: str) -> str:
    path.write_text(
        json.dumps(
            {
                "current-context": "c",
                "clusters": [{"name": "k", "cluster": {"server": server}}],
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": ""}}],
            }
        )
    )
    return str(path)


def test_where_there_is_neither_both_ways_are_named() -> None:
    with pytest.raises(UnavailableError) as caught:
        places.is_cluster(NONE)
    assert str(caught.value) == (
        "the local mesh is not up (outgate up; or name a cluster: --kubeconfig, KUBECONFIG)"
    )
    # A log is there while the mesh is down.
    assert not places.is_cluster(NONE, need=False)
    assert run("logs", "--egress") == ""


def test_a_cluster_that_is_named_is_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert places.is_cluster({"context": "c", "kubeconfig": ""})
    assert places.is_cluster({"context": "", "kubeconfig": "x"})
    monkeypatch.setenv("KUBECONFIG", "x")
    assert places.is_cluster(NONE)
    monkeypatch.delenv("KUBECONFIG")
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").touch()
    assert places.is_cluster(NONE)


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("explain", "app", "http://x"),
        ("proxy-config", "app"),
        ("logs", "--egress"),
        ("logs", "--egress", "-f"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_clear_error(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")
    with pytest.raises(
        UnavailableError, match=r"cannot reach the cluster at http://127\.0\.0\.1:1"
    ):
        run(*words, "--kubeconfig", path)
    with pytest.raises(UsageError, match="no cluster to connect to"):
        run(*words, "--kubeconfig", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("logs",), "logs needs the name of a pod"),
        (("logs", "--egress", "--since", "x"), "is not a duration"),
        (("logs", "app", "--since", "5m"), "--since needs --egress"),
        (("explain", "deployment/x", "http://x"), "explain needs the name of a pod"),
    ],
)
def test_commands_that_are_used_wrongly(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        run(*words)


def test_an_error_of_ours_says_which_cluster_it_is_about(tmp_path: Path) -> None:
    async def work(_: object) -> None:
        raise UsageError("wrong", hint="do it right")

    path = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")
    with pytest.raises(OutgateError) as caught:
        places.in_cluster({"context": "", "kubeconfig": path}, work)
    assert str(caught.value) == "wrong, in the cluster at http://127.0.0.1:1 (do it right)"
