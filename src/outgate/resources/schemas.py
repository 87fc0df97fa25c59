"""What a kind of ours may hold, as values: from one declaration come its parser, its CRD and its reference page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outgate.resources.names import Flaw


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold for a value as a whole.

    `holds` is asked with JSON's types, of which each is valid by itself; `cel` says the same to an API server, as
    `self`. `field` is the one below that is to blame (empty: the value itself); `message` and `hint` are for both.
    """

    holds: Callable[[Any], bool]
    cel: str
    message: str
    hint: str = ""
    field: str = ""

    @property
    def text(self) -> str:
        """What an API server says."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Form:
    """A rule for text: `flaw` says what is wrong with a value; `checks` are CEL expressions, each with its message.

    `pattern` is for an API server where a list would make CEL too dear.
    """

    flaw: Callable[[str], Flaw | None]
    checks: tuple[tuple[str, str], ...] = ()
    pattern: str = ""
    longest: int = 253
    make: Callable[[str], Any] = str
    says: str = "text"
    """How the reference page calls it."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string of a form, or any that is not longer than `longest`; `empty` where it may be empty."""

    form: Form | None = None
    longest: int = 253
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words, and what each is made into."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a range, both ends included; `what` begins the sentence that gives the range."""

    least: float
    most: float
    what: str = "this"
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration as Gateway API writes it (GEP-2257): `1m30s`, `250ms`. It is read as seconds."""

    least: str = "0s"


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes as a Kubernetes quantity: `1Mi`, `100k`, `2048`."""

    least: int = 1
    most: int = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Items:
    """A list of at least and at most so many; `key` is the field that tells them apart, `.` for the items themselves.

    Where `folds` is set, items that differ only in case are the same.
    """

    of: "Schema"
    most: int
    least: int = 0
    key: str = ""
    folds: bool = False


@dataclass(frozen=True, slots=True)
class Pairs:
    """A mapping of text to text."""

    keys: Form
    values: Text
    most: int


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a mapping: `into` is the argument of what is made of it; `default` is as one would write it.

    `local` ones are for one machine: a cluster's API server does not know them.
    """

    name: str
    schema: "Schema"
    doc: str
    into: str = ""
    required: bool = False
    default: Any = None
    local: bool = False
    example: str = ""


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping; `make` is called with what was read, by `into`. What is not there, is not given."""

    fields: tuple[Field, ...]
    make: Callable[..., Any]
    rules: tuple[Rule, ...] = ()

    def of(self, name: str) -> Field | None:
        """Return a field by its name."""
        return next((each for each in self.fields if each.name == name), None)


Schema = Text | Choice | Number | Flag | Duration | Size | Items | Pairs | Fields


def one_of(*names: str, least: int = 1, hint: str = "") -> Rule:
    """Of some fields there is exactly one; or with `least` 0, at most one."""
    *first, last = names
    listed = f"{', '.join(first)} and {last}"
    count = f"[{', '.join(f'has(self.{each})' for each in names)}].filter(each, each).size()"
    return Rule(
        lambda value: least <= sum(value.get(each) is not None for each in names) <= 1,
        f"{count} == 1" if least else f"{count} <= 1",
        f"{'exactly' if least else 'at most'} one of {listed} is allowed",
        hint or (f"write one of them, such as {first[0]}" if least else "remove all but one"),
    )


def needs(name: str, other: str, hint: str = "") -> Rule:
    """Where one field is, there is another."""
    return Rule(
        lambda value: value.get(name) is None or value.get(other) is not None,
        f"!has(self.{name}) || has(self.{other})",
        f"is of no use without {other}",
        hint or f"add {other}, or remove {name}",
        name,
    )
