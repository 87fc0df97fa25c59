"""Commands as tests call them: in this process."""

from click.testing import CliRunner, Result

from outgate.cli.main import cli


def call(*words: str, text: str | None = None) -> Result:
    return CliRunner().invoke(cli, words, input=text)


def out(*words: str) -> str:
    """Return what a command prints that is to succeed."""
    result = call(*words)
    assert result.exit_code == 0, result.output
    return result.stdout
