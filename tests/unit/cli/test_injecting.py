"""kube-inject as it is called: files, standard input, and what happens to the output when something is wrong."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from outgate.cli.main import cli
from outgate.errors import InvalidError, UsageError

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: hello}\nspec:\n  containers: [{name: hello}]\n"


def run(*arguments: str, stdin: bytes | str | None = None) -> Result:
    return CliRunner().invoke(cli, ["kube-inject", *arguments], input=stdin, catch_exceptions=False)


def test_file_is_needed() -> None:
    result = CliRunner().invoke(cli, ["kube-inject"])
    assert result.exit_code == 2
    assert "-f" in result.stderr


def test_standard_input_and_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1")
    result = run("-f", str(tmp_path / "a.yaml"), "-f", "-", stdin=POD)
    assert result.stdout.startswith("a: 1\n---\napiVersion: v1\nkind: Pod\n")


def test_output_file(tmp_path: Path) -> None:
    result = run("-f", "-", "-o", str(tmp_path / "out.yaml"), stdin=POD)
    assert result.stdout == ""
    assert (tmp_path / "out.yaml").read_text() == run("-f", "-", stdin=POD).stdout


def test_file_may_be_its_own_output(tmp_path: Path) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(POD)
    run("-f", str(path), "-o", str(path))
    assert "outgate-init" in path.read_text()


def test_output_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"-o .*: No such file or directory"):
        run("-f", "-", "-o", str(tmp_path / "no" / "out.yaml"), stdin=POD)


def test_nothing_is_written_when_a_document_does_not_parse(tmp_path: Path) -> None:
    out = tmp_path / "out.yaml"
    (tmp_path / "good.yaml").write_text(POD)
    (tmp_path / "bad.yaml").write_text("a: 1\nb: [\n")
    arguments = [
        *("-f", str(tmp_path / "good.yaml")),
        *("-f", str(tmp_path / "bad.yaml")),
        *("-o", str(out)),
    ]
    result = CliRunner().invoke(cli, ["kube-inject", *arguments])
    assert isinstance(result.exception, InvalidError)
    assert result.exception.exit_status == 1
    assert f"{tmp_path}/bad.yaml:3: error: not valid YAML" in str(result.exception)
    assert result.stdout == ""
    assert not out.exists()


def test_range_with_host_bits_is_the_range() -> None:
    result = run("-f", "-", "--includeIPRanges", "10.0.0.1/24,2001:db8::1/32", stdin=POD)
    assert "--include=10.0.0.0/24,2001:db8::/32\n" in result.stdout


@pytest.mark.parametrize("ranges", ["10.0.0.1/33", "all", "10.0.0.0/8;10.1.0.0/16"])
def test_range_that_is_none_is_refused(ranges: str) -> None:
    with pytest.raises(UsageError, match=r"^--includeIPRanges: .*10\.0\.0\.0/24"):
        run("-f", "-", "--includeIPRanges", ranges, stdin=POD)


def test_flags_without_effect_say_so() -> None:
    result = run("-f", "-", "--coreDump=true", "--meshConfig", "istio", stdin="a: 1\n")
    assert result.stdout == "a: 1\n"
    assert [line.split()[0] for line in result.stderr.splitlines()] == [
        "--meshConfig",
        "--coreDump",
    ]
    assert run("-f", "-", "--coreDump=false", stdin="a: 1\n").stderr == ""
    assert "--coreDump" in run("--coreDump", "-f", "-", stdin="a: 1\n").stderr


@pytest.mark.parametrize("data", [b"a: 1", b"a: 1\r\n---\r\n# \xc3\xa9\r\n", b"\xef\xbb\xbfa: 1\n"])
def test_bytes_pass_through(data: bytes) -> None:
    assert run("-f", "-", stdin=data).stdout_bytes == data
