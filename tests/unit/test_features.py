"""What docs/features.md claims has a test of that name, and a golden."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/features.md"
TEXT = PAGE.read_text(encoding="utf-8")
CLAIMS = sorted(set(re.findall(r'\]\(\.\./([^ )]+) "(\w+)"\)', TEXT)))
ROWS = [
    [each.strip() for each in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("|") and not line.startswith(("| |", "|-", "|:"))
]
TEST = re.compile(r'\[[^]]+\]\(\.\./tests/\S+\.py "test_\w+"\)')
NOTHING = re.compile(r"—(\[\^\w+\])?")


@functools.cache
def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {each.name for each in ast.walk(tree) if isinstance(each, kinds)}


@pytest.mark.parametrize(("file", "name"), CLAIMS)
def test_each_claim_has_its_test(file: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in functions(file)


def test_each_golden_is_there() -> None:
    goldens = set(re.findall(r"\]\(\.\./(tests/golden/[^) ]+)\)", TEXT))
    assert len(goldens) > 10
    assert [each for each in goldens if not (ROOT / each).is_file()] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_no_cell_is_left_open(row: list[str]) -> None:
    """A cell is what leads to a test, or says that there is nothing; nothing is claimed without."""
    feature, *cells = row
    assert feature
    *shown, last = cells
    if last.startswith("[golden]"):
        assert TEST.match(shown[0]), "an ExternalService, or an EgressPolicy, can say everything"
    else:
        shown = cells
    assert shown
    for each in shown:
        parts = re.split(r", (?=\[)", each)
        assert all(TEST.fullmatch(part) for part in parts) or NOTHING.fullmatch(each), each


def test_each_note_is_there_and_is_used() -> None:
    said = re.findall(r"^\[\^(\w+)\]:", TEXT, re.MULTILINE)
    used = set(re.findall(r"\[\^(\w+)\](?!:)", TEXT))
    assert (len(said), set(said)) == (len(used), used)
