"""Rules for some requests: which, and what becomes of them, as one writes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.resources.native.behaviours import (
    BEHAVIOUR,
    BEHAVIOUR_INTO,
    EDITS,
    Behaviour,
    behaviour,
)
from outgate.resources.native.forms import LABEL, NAME
from outgate.resources.native.http_forms import PATH, REGEX, wrong_group
from outgate.resources.native.matching import MATCH
from outgate.resources.native.numbers import PERCENT, PORT
from outgate.resources.native.references import (
    DESTINATION_FIELDS,
    DESTINATIONS,
    DestinationRef,
)
from outgate.resources.schemas import (
    Choice,
    Field,
    Fields,
    Items,
    Number,
    Rule,
    Text,
    one_of,
)
from outgate.traffic.routing import Answer, Edits, Match, Redirect, Rewrite


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """One of several destinations of a rule, as written."""

    to: DestinationRef
    weight: int = 1
    failover: tuple[DestinationRef, ...] = ()
    request: Edits = field(default_factory=Edits)
    response: Edits = field(default_factory=Edits)


@dataclass(frozen=True, slots=True)
class MirrorSpec:
    """Where a copy goes, as written."""

    to: DestinationRef
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A rule as written."""

    name: str = ""
    matches: tuple[Match, ...] = ()
    ports: tuple[int, ...] = ()
    backends: tuple[BackendSpec, ...] = ()
    mirrors: tuple[MirrorSpec, ...] = ()
    redirect: Redirect | None = None
    answer: Answer | None = None
    rewrite: Rewrite | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)


def _rewrite(
    path: str | None = None,
    full: str | None = None,
    regex: Mapping[str, str] | None = None,
    host: str = "",
) -> Rewrite:
    whole = full is not None
    return Rewrite(full if whole else path, whole, **(regex or {}), host=host)


_GROUPS = Rule(
    lambda value: not wrong_group(value["pattern"], value["substitution"])[0],
    # To count groups would cost an API server too much: two, where the substitution names more than one.
    r"self.substitution.matches('^([^\\\\]|\\\\[0-9\\\\])*$') &&"
    r" (!self.substitution.contains('\\1') || self.pattern.contains('(')) &&"
    r" (!self.substitution.matches('\\\\[2-9]') || self.pattern.matches('[(].*[(]'))",
    "names a group that the pattern has not",
    r"\1 is the first; write \\ for a backslash",
    "substitution",
)
REWRITE = Fields(
    (
        Field(
            "path",
            Text(PATH),
            "Replaces what the match found of the path: the prefix, or all of it.",
        ),
        Field("fullPath", Text(PATH), "Replaces all of the path.", "full"),
        Field(
            "regex",
            Fields(
                (
                    Field(
                        "pattern",
                        Text(REGEX),
                        "What of the path is replaced (RE2).",
                        "regex",
                        required=True,
                    ),
                    Field(
                        "substitution",
                        Text(longest=256, empty=True),
                        "By what; `\\1` is the first group.",
                        required=True,
                    ),
                ),
                dict,
                (_GROUPS,),
            ),
            "Replaces what a pattern finds in the path.",
        ),
        Field("host", Text(NAME), "The Host that the service sees."),
    ),
    _rewrite,
    (one_of("path", "fullPath", "regex", least=0),),
)
REDIRECT = Fields(
    (
        Field(
            "scheme",
            Choice({"http": "http", "https": "https"}),
            "Scheme; what is left out stays as it was.",
        ),
        Field("host", Text(NAME), "Host."),
        Field("port", PORT, "Port."),
        Field("path", Text(PATH), "All of the path."),
        Field("prefix", Text(PATH), "Replaces the prefix that the match found."),
        Field("status", Number(301, 308, "a redirect"), "301, 302, 303, 307 or 308.", default=302),
    ),
    Redirect,
    (
        one_of("path", "prefix", least=0),
        Rule(
            lambda value: value["status"] in (301, 302, 303, 307, 308),
            "self.status in [301, 302, 303, 307, 308]",
            "is not a status of a redirect",
            "write 301, 302, 303, 307 or 308",
            "status",
        ),
    ),
)
ANSWER = Fields(
    (
        Field(
            "status",
            Number(200, 599, "a status code"),
            "Its status.",
            required=True,
            example="status: 404",
        ),
        Field("body", Text(longest=4096, empty=True), "Its body.", default=""),
    ),
    Answer,
)


def _reference(given: dict[str, Any]) -> DestinationRef:
    return DestinationRef(
        **{each.name: given.pop(each.name) for each in DESTINATION_FIELDS if each.name in given}
    )


def _backend(**given: Any) -> BackendSpec:
    return BackendSpec(_reference(given), **given)


def _mirror(**given: Any) -> MirrorSpec:
    return MirrorSpec(_reference(given), **given)


BACKEND = Fields(
    (
        *DESTINATION_FIELDS,
        Field("weight", Number(0, 1_000_000, "a weight"), "Its share of the requests.", default=1),
        Field("failover", DESTINATIONS, "Destinations used as it fails, in this order."),
        Field("requestHeaders", EDITS, "Changes of headers on the way to it.", "request"),
        Field("responseHeaders", EDITS, "Changes of headers on the way back from it.", "response"),
    ),
    _backend,
    (one_of("host", "service"),),
)
MIRROR = Fields(
    (*DESTINATION_FIELDS, Field("percent", PERCENT, "Share of the requests.", default=100)),
    _mirror,
    (one_of("host", "service"),),
)


def _rule(**given: Any) -> RuleSpec:
    said = {name: given.pop(name) for name in BEHAVIOUR_INTO if name in given}
    return RuleSpec(**given, behaviour=behaviour(said))


def _total(backends: Iterable[Mapping[str, Any]]) -> int:
    return sum(each["weight"] for each in backends)


RULE = Fields(
    (
        Field("name", Text(LABEL), "A name for people and logs."),
        Field(
            "matches",
            Items(MATCH, 16, 1),
            "Requests that any of these fits; all if they are left out.",
        ),
        Field("ports", Items(PORT, 16, 1, "."), "Only calls of these ports."),
        Field("rewrite", REWRITE, "Changes of what is asked for."),
        Field("redirect", REDIRECT, "Answer with a redirect."),
        Field("directResponse", ANSWER, "Answer in place of the service.", "answer"),
        Field("backends", Items(BACKEND, 16, 1), "Where requests go instead, each with its share."),
        Field(
            "mirror",
            Items(MIRROR, 4, 1),
            "Where copies of requests go, whose answers nobody waits for.",
            "mirrors",
        ),
        *BEHAVIOUR,
    ),
    _rule,
    (
        one_of("redirect", "directResponse", "backends", least=0),
        Rule(
            lambda value: value.get("backends") is None or _total(value["backends"]) > 0,
            "!has(self.backends) || self.backends.exists(b, b.weight > 0)",
            "all have weight 0, so nothing could be called",
            "give one of them a weight",
            "backends",
        ),
        Rule(
            lambda value: (
                value.get("rewrite") is None
                or (value.get("redirect") is None and value.get("directResponse") is None)
            ),
            "!has(self.rewrite) || (!has(self.redirect) && !has(self.directResponse))",
            "does not go together with redirect and directResponse",
            "remove one of them",
            "rewrite",
        ),
    ),
)
