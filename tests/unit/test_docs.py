"""What the documents refer to is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [each for each in links if not (page.parent / each).exists()] == []


def test_each_invariant_has_its_test() -> None:
    text = (ROOT / "docs/SECURITY-INVARIANTS.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", text)
    assert len(named) > 20
    for file, name in named:
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        functions = {
            each.name
            for each in ast.walk(tree)
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, f"{file} has no {name}"


def test_the_sample_is_the_one_that_is_shown() -> None:
    page = (ROOT / "docs/external-services.md").read_text(encoding="utf-8")
    sample = (ROOT / "samples/httpbin.yaml").read_text(encoding="utf-8")
    comment, _, rest = sample.partition("\n")
    assert comment.startswith("# ")
    assert f"```yaml\n{rest}```" in page


def test_the_change_that_is_shown_is_the_code() -> None:
    """Each piece of code is in the file that is named before it."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    pieces = re.findall(r"`(src/[\w/]+\.py)`[^`]*?```python\n(.*?)```", page, re.DOTALL)
    assert len(pieces) >= 3
    for file, code in pieces:
        assert code in (ROOT / file).read_text(encoding="utf-8"), file
