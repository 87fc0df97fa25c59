"""Kubeconfigs are read as kubectl reads them, and what is wrong with one is one clear error."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from outgate.errors import UsageError
from outgate.kube.client import connect
from outgate.kube.kubeconfig import load


def config(path: Path, name: str, **fields: Any) -> Path:
    cluster = {"server": f"https://{name}.test", "certificate-authority": f"{name}.pem"}
    context = {"cluster": name, "user": name, "namespace": name}
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "contexts": [{"name": name, "context": context}],
        "users": [{"name": name, "user": {"token": name}}],
    }
    path.write_text(yaml.safe_dump(found | fields))
    return path


def test_several_files_are_one_and_the_first_wins(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    first, second = config(tmp_path / "a", "one"), config(tmp_path / "sub" / "b", "two")
    config(tmp_path / "c", "two", clusters=[{"name": "two", "cluster": {"server": "https://no"}}])
    named = f"{tmp_path}/missing:{first}:{second}:{tmp_path}/c"
    one, two = load(named, ""), load(named, "two")
    assert (one.cluster.server, one.namespace) == ("https://one.test", "one")
    assert (two.cluster.server, two.user and two.user.token) == ("https://two.test", "two")
    # A path is relative to the file that has it.
    assert two.cluster.certificate_auth == str(tmp_path / "sub" / "two.pem")


def test_the_flag_wins_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {"clusters": [{"name": "x", "cluster": {"server": "https://x.test"}}]}
    context = {"contexts": [{"name": "x", "context": {"cluster": "x"}}], "current-context": "x"}
    flag = config(tmp_path / "flag", "x", **plain, **context)
    config(tmp_path / "env", "y", clusters=[{"name": "y", "cluster": {"server": "https://y"}}])
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "env"))
    assert connect().config.cluster.server == "https://y"
    # Also without a user, which lightkube alone does not take.
    assert connect(str(flag)).config.cluster.server == "https://x.test"


@pytest.mark.parametrize(
    ("text", "context", "message"),
    [
        ("a: [", "", "is not YAML"),
        ("- a", "", "is no kubeconfig"),
        ("{}", "", "has no current context"),
        ("current-context: a", "", "Context 'a' not found"),
        ("{}", "b", "Context 'b' not found"),
        ("{current-context: a, contexts: [{name: a, context: {cluster: c}}]}", "", "or user 'c'"),
        ("{clusters: [{name: a}]}", "", "a cluster has no name, or no content"),
        ("{current-context: a, contexts: [{name: a, context: {cluster: 1}}]}", "", "`str`"),
        (None, "", "No such file"),
    ],
)
def test_a_bad_one_is_one_clear_error(
    tmp_path: Path, text: str | None, context: str, message: str
) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match="no cluster to connect to: ") as error:
        connect(str(path), context)
    assert message in str(error.value)
    assert "--kubeconfig" in str(error.value)
