"""Reads Envoy's own log for the one line that says why it stopped."""

import re
from collections.abc import Iterator
from pathlib import Path

_TAIL = 64 * 1024
_LIMIT = 1000
# Envoy's default log format: `[time][thread][level][logger] [file:line] text`, in some builds
# without the file. A text may go on over several lines.
_ENTRY = re.compile(
    r"^\[[^\]\n]*\]\[\d+\]\[(?P<level>\w+)\]\[\w+\] (?:\[[^\]\s]*:\d+\] )?", re.MULTILINE
)
_GRAVE = ("critical", "error")
# Before it says what is wrong with a message, Envoy may print the message, marked so; or only the
# mark.
_MESSAGE = re.compile(r"goo\.gle/debug\w*\s+(.*\n: )?", re.DOTALL)
# What follows the cause when Envoy aborts.
_BACKTRACE = ("Caught ", "Backtrace ", "Envoy version: ", "Address mapping: ", "#", "exiting")


def tail(log_file: Path, offset: int) -> str:
    """Return the log after byte `offset`, at most the last 64 KiB; empty if unreadable."""
    try:
        with log_file.open("rb") as file:
            size = file.seek(0, 2)
            # A log shorter than the offset was truncated or replaced meanwhile.
            file.seek(max(offset if offset <= size else 0, size - _TAIL))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def explain(log: str) -> str:
    """Return the last entry that says what went wrong, else the last one, else "no output"."""
    entries = [(level, text) for level, text in _entries(log) if not text.startswith(_BACKTRACE)]
    grave = [text for level, text in entries if level in _GRAVE]
    texts = grave or [text for _, text in entries] or ["no output"]
    return texts[-1][:_LIMIT]


def warnings(log: str) -> tuple[str, ...]:
    """Return the texts of the entries at level warning, in order."""
    return tuple(text for level, text in _entries(log) if level == "warning")


def _entries(log: str) -> Iterator[tuple[str, str]]:
    """Yield level (empty for lines that are not Envoy's) and text, on one line and not empty."""
    matches = list(_ENTRY.finditer(log))
    for line in log[: matches[0].start() if matches else len(log)].splitlines():
        if line.strip():
            yield "", line.strip()
    ends = (*(match.start() for match in matches[1:]), len(log))
    for match, end in zip(matches, ends, strict=False):
        if text := " ".join(_MESSAGE.sub("", log[match.end() : end]).split()):
            yield match["level"], text
