"""Tables in kubectl's form."""

from collections.abc import Iterable, Sequence

from outgate.cli.common import say

_NARROW = 3


def table(lines: Iterable[Sequence[str]]) -> None:
    """Print lines, the first of which are the titles, in columns as wide as they need to be."""
    rows = [[each or "-" for each in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{value:<{width}}" for value, width in zip(row, widths, strict=True))
        say((" " * _NARROW).join(cells).rstrip())


def age(seconds: float) -> str:
    """Write a duration shortly, in its largest unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds) // size}{unit}"
    return f"{max(int(seconds), 0)}s"
