"""What a check found."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Level(enum.StrEnum):
    """How bad it is: a warning is what may be wrong, or cannot be known."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `check` is what was looked at, `message` what was seen, `hint` what to do (empty if all is well)."""

    level: Level
    check: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """As it is printed."""
        hint = f": {self.hint}" if self.hint else ""
        return f"{self.level:<8} {self.check}: {self.message}{hint}"


def ok(check: str, message: str) -> Finding:
    """Return that all is well."""
    return Finding(Level.OK, check, message)


def warning(check: str, message: str, hint: str) -> Finding:
    """Return what may be wrong."""
    return Finding(Level.WARNING, check, message, hint)


def error(check: str, message: str, hint: str) -> Finding:
    """Return what is wrong."""
    return Finding(Level.ERROR, check, message, hint)


def some(names: Iterable[str], most: int = 5) -> str:
    """Return names with commas between, the first of many."""
    found = list(names)
    rest = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + rest
