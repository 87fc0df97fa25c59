"""What becomes of an HTTP request: which rule it falls under, where it goes, and what is changed on the way.

Durations are seconds, percentages 0 to 100.
"""

import enum
from dataclasses import dataclass

from outgate.traffic.references import Target


class Comparison(enum.StrEnum):
    """How text is compared. A path prefix ends at a `/` (Gateway API's meaning); a plain prefix anywhere (Istio's)."""

    EXACT = "exact"
    PREFIX = "prefix"
    PATH_PREFIX = "path-prefix"
    SUFFIX = "suffix"
    REGEX = "regex"
    PRESENT = "present"


@dataclass(frozen=True, slots=True, order=True)
class Text:
    """A condition on text; a regular expression (RE2) must match all of it."""

    comparison: Comparison
    value: str = ""
    ignore_case: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Field:
    """A condition on a header or a query parameter by its name; `inverted`, it must not hold."""

    name: str
    text: Text
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """A request falls under this if all of it holds; without anything every one does."""

    path: Text | None = None
    methods: tuple[str, ...] = ()
    headers: tuple[Field, ...] = ()
    query: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Edits:
    """Changes of headers: `put` replaces, `add` appends, `remove` takes away."""

    put: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """`request` covers all attempts; 0 is none at all, None the default (no limit but silence)."""

    request: float | None = None
    idle: float | None = None


@dataclass(frozen=True, slots=True)
class Retries:
    """`attempts` after the first; 0 for none. `on` are Envoy's conditions, `statuses` more that are tried again.

    `hedge` sends the next attempt at a per-try timeout without giving the first one up.
    """

    attempts: int = 2
    on: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    per_try: float | None = None
    per_try_idle: float | None = None
    backoff: float | None = None
    backoff_max: float | None = None
    hedge: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to requests on purpose. Each part has its percentage; which requests, a rule's match says."""

    delay: float | None = None
    delay_percent: float = 100.0
    abort: int | None = None
    grpc_abort: int | None = None
    abort_percent: float = 100.0


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What the destination sees: `path` replaces what the match found (prefix), or all (`whole`); or by `regex`."""

    path: str | None = None
    whole: bool = False
    regex: str = ""
    substitution: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Redirect:
    """An answer that sends the client elsewhere; empty parts stay as they were. `prefix` replaces what was matched."""

    scheme: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    prefix: str | None = None
    status: int = 302


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the egress itself."""

    status: int
    body: str = ""


@dataclass(frozen=True, slots=True)
class Backend:
    """One of several destinations of a rule, and its share. Those of `failover` are used, in order, as it fails."""

    target: Target
    weight: int = 1
    failover: tuple[Target, ...] = ()
    request: Edits = Edits()
    response: Edits = Edits()


@dataclass(frozen=True, slots=True)
class Mirror:
    """A copy of a share of the requests, whose answers nobody waits for."""

    target: Target
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for requests that fall under any of `matches` (none: all), on `ports` (none: all).

    `callers` are the namespaces for whose calls it holds, None for all. Without backends the destination itself is
    called. `source` is the resource that says so (`kind/name`), for the log.
    """

    matches: tuple[Match, ...] = ()
    ports: tuple[int, ...] = ()
    callers: frozenset[str] | None = None
    backends: tuple[Backend, ...] = ()
    redirect: Redirect | None = None
    answer: Answer | None = None
    rewrite: Rewrite | None = None
    request: Edits = Edits()
    response: Edits = Edits()
    timeouts: Timeouts = Timeouts()
    retries: Retries | None = None
    fault: Fault | None = None
    mirrors: tuple[Mirror, ...] = ()
    max_body: int | None = None
    decompress: bool = False
    """Ask for a compressed answer and decompress it, where the application did not ask itself."""
    source: str = ""
