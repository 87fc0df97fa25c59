"""kubectl's `-o jsonpath=`: text with `{expressions}`, the lists they find joined by blanks."""

import json
import re
from typing import Any

from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.ext.parser import parse

from outgate.errors import UsageError

_PART = re.compile(r'\{("[^"]*"|[^{}]*)\}|([^{]+)')


def render(template: str, value: object) -> str:
    """Return the template filled in; UsageError where it is not one. `range` is not supported."""
    text = template if "{" in template else f"{{{template}}}"
    result: list[str] = []
    position = 0
    for part in _PART.finditer(text):
        if part.start() != position:
            break
        position = part.end()
        result.append(part[2] if part[1] is None else _evaluate(part[1].strip(), value))
    if position != len(text):
        raise UsageError(f"-o jsonpath={template!r}: a brace is not closed")
    return "".join(result)


def _evaluate(expression: str, value: object) -> str:
    if expression.startswith('"'):
        return str(json.loads(expression))
    path = expression if expression.startswith("$") else "$" + expression.removeprefix("@")
    # kubectl writes recursive descent as "..name", and filters with "@.x".
    try:
        found = [match.value for match in parse(path).find(value)]
    except (JSONPathError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"-o jsonpath: {expression!r} is not an expression: {error}") from error
    return " ".join(_text(each) for each in found)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
