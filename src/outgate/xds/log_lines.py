"""Chooses lines of the egress log; which fields they have says `denials`."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: of a pod, of a namespace, and not before a time as the log writes it; empty: of all."""

    pod: str = ""
    namespace: str = ""
    since: str = ""

    @property
    def everything(self) -> bool:
        """Whether every line is wanted."""
        return not (self.pod or self.namespace or self.since)

    def has(self, line: str) -> bool:
        """Whether a line is one of them; what is no line of the egress log never is."""
        fields = read(line)
        return bool(fields) and (
            self.pod in ("", fields.get("pod"))
            and self.namespace in ("", fields.get("namespace"))
            and str(fields.get("time", "")) >= self.since
        )


def read(line: str) -> dict[str, Any]:
    """Return a line's fields; none for what is no line of the egress log, such as what Envoy says of itself."""
    if not line.startswith("{"):
        return {}
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def time_of(line: str) -> str:
    """Return when a line's call was: texts that sort as times do."""
    return str(read(line).get("time", ""))
