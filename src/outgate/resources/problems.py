"""What is wrong with a resource, as a value, so that one bad resource never stops the good ones."""

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """An error keeps the resource from being programmed; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """Where something stands: `file` as the user named it (`-` for standard input), `line` from 1."""

    file: str = "-"
    line: int = 1

    def __str__(self) -> str:
        """Render as compilers do, so that editors can jump there."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    `resource` is kind/name in lower case (`service/externalbin`; empty where a document has none), `path` the field as
    kubectl writes it (`spec.ports[0].port`), `message` what is wrong, `hint` what to write instead (may be empty).
    """

    location: Location
    resource: str
    path: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    @property
    def text(self) -> str:
        """The field, what is wrong, and what to write instead."""
        said = f"{self.path}: {self.message}" if self.path else self.message
        return f"{said} ({self.hint})" if self.hint else said

    def __str__(self) -> str:
        """One line: `file:line: severity: resource: path: message (hint)`, empty parts left out."""
        parts = (str(self.location), str(self.severity), self.resource, self.text)
        return ": ".join(part for part in parts if part)
