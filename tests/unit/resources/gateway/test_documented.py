"""What docs/gateway-api.md shows can be applied as it is."""

import re
from pathlib import Path

from outgate.resources.kinds import parse
from outgate.resources.manifests import read

_PAGE = Path(__file__).parents[4] / "docs" / "gateway-api.md"


def test_what_the_page_shows_is_valid() -> None:
    shown = re.findall(r"```yaml\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    assert len(shown) == 3
    assert not parse(read("---\n".join(shown), "f").documents).problems
