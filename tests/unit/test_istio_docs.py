"""What docs/istio.md shows is valid, and can be moved over."""

import re
from pathlib import Path

import pytest

from outgate.model.converting import convert
from outgate.resources.kinds import parse
from outgate.resources.manifests import read

PAGE = Path(__file__).parents[2] / "docs/istio.md"
SHOWN = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("text", SHOWN, ids=lambda text: re.findall("name: (\\w+)", text)[0])
def test_what_is_shown_is_valid_and_can_be_converted(text: str) -> None:
    resources = parse(read(text, "istio.md").documents)
    assert resources.problems == ()
    converted = convert(resources)
    assert (len(converted.documents), converted.problems) == (1, ())
