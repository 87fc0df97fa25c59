"""Whether a regular expression is one to RE2, which Envoy matches with: RE2 itself says so.

Envoy takes no route of a host, and no policy at all, where one expression among them is none.
"""

import functools

import re2

_MEMORY = 1 << 20
"""Bytes that one may take when compiled; Envoy's own limit is eight times that, and there may be thousands."""


@functools.cache
def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    return options


def trouble(text: str) -> str:
    """Return what RE2 finds wrong with an expression; empty where nothing is."""
    # Others are put around it: `\\Q` without an end would take in what follows.
    for each in (text, f"(?:{text})"):
        try:
            re2.compile(each, _options())
        except re2.error as error:
            words = error.args[0] if error.args else ""
            return words.decode(errors="replace") if isinstance(words, bytes) else str(words)
        except (UnicodeError, ValueError) as error:
            return str(error)
    return ""


def groups(text: str) -> int | None:
    """Return how many groups an expression has; None where it is none."""
    return None if trouble(text) else int(re2.compile(text, _options()).groups)


def matches(text: str, value: str, *, ignore_case: bool = False) -> bool:
    """Whether all of a value matches, as Envoy has it: in time that grows with the value, whatever the expression."""
    wanted = f"(?i:{text})" if ignore_case else text
    return not trouble(wanted) and re2.compile(wanted, _options()).fullmatch(value) is not None
