"""The reference pages say what the commands and settings are."""

import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages, by a process of its own: click remembers help options from how a command was last called."""
    folder = tmp_path_factory.mktemp("docs")
    code = "import sys, pathlib; from outgate.cli.reference import write; write(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, folder], check=True, timeout=60)
    return folder


@pytest.mark.parametrize(
    "name",
    ["commands.md", "settings.md", "externalservice.md", "egresspolicy.md", "istio-fields.md"],
)
def test_a_page_is_what_the_code_says(name: str, written: Path) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    assert text == (written / name).read_text(encoding="utf-8"), "run make docs"
