"""What all writers of YAML's plain values share."""

from collections.abc import Mapping
from typing import Any


def compact(fields: Mapping[str, Any], *kept: str) -> dict[str, Any]:
    """Return fields without those that say nothing, but for `kept` ones, which say something by being there."""
    return {
        key: value
        for key, value in fields.items()
        if value is not None
        and (key in kept or (value is not False and value not in ("", 0, [], {})))
    }


def duration(seconds: float | None) -> str | None:
    """Write seconds as Gateway API does (GEP-2257), to a millisecond."""
    if seconds is None:
        return None
    rest = round(seconds * 1000)
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
