"""The reference pages say what the commands and settings are."""

from pathlib import Path

import pytest

from outgate.cli.reference import pages

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(
    "name",
    ["commands.md", "settings.md", "externalservice.md", "egresspolicy.md", "istio-fields.md"],
)
def test_a_page_is_what_the_code_says(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    assert text == pages(DOCS)[DOCS / name], "run make docs"
