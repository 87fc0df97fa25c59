"""What a pod's own annotations say about its capture: they win over flags. Istio's names are understood too."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from outgate.errors import UsageError
from outgate.inject.options import Options
from outgate.model.ranges import parse_ranges

_NUMBER = re.compile(r"[0-9]{1,5}")
MOST_CHARACTERS = 8192
"""Of an annotation that is read: some hundred ranges. Whoever makes a pod writes it, and the webhook reads it."""
OURS, ISTIO = "outgate.dev/", "traffic.sidecar.istio.io/"


def parse_ports(text: str, flag: str) -> tuple[int, ...]:
    """Read comma-separated port numbers; UsageError names the flag."""
    found: list[int] = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        if not _NUMBER.fullmatch(part) or not 0 < int(part) < 1 << 16:
            raise UsageError(f"{flag}: {part!r} is not a port", hint="numbers such as 5432,6379")
        found.append(int(part))
    return tuple(dict.fromkeys(found))


def _boolean(text: str, flag: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise UsageError(f"{flag}: {text!r} is neither", hint='"true" or "false"')
    return text.lower() == "true"


# Our name, Istio's if it has one, the option, and how the text is read.
_KNOWN: tuple[tuple[str, str, str, Callable[[str, str], Any]], ...] = (
    ("dns-capture", "", "dns_capture", _boolean),
    ("include-ip-ranges", "includeOutboundIPRanges", "include", parse_ranges),
    ("exclude-ip-ranges", "excludeOutboundIPRanges", "exclude", parse_ranges),
    ("include-ports", "includeOutboundPorts", "include_ports", parse_ports),
    ("exclude-ports", "excludeOutboundPorts", "exclude_ports", parse_ports),
)


def apply(annotations: Mapping[str, Any], options: Options) -> Options:
    """Return the options as the annotations change them; UsageError names the one that is wrong."""
    changes: dict[str, Any] = {}
    for own, istio, name, parse in _KNOWN:
        for key in (ISTIO + istio, OURS + own):
            if key != ISTIO and key in annotations:
                value = annotations[key]
                if not isinstance(value, str):
                    raise UsageError(f"{key}: must be text", hint="put it in quotes")
                if len(value) > MOST_CHARACTERS:
                    hint = f"at most {MOST_CHARACTERS}: join ranges where they touch"
                    raise UsageError(f"{key}: has {len(value)} characters", hint=hint)
                changes[name] = parse(value, key)
    return replace(options, **changes)
