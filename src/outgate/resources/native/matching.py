"""Which requests are meant, as one writes it."""

from collections.abc import Mapping
from typing import Any

from outgate.resources.native.http_forms import HEADER, METHOD, PATH, REGEX
from outgate.resources.schemas import (
    Field,
    Fields,
    Flag,
    Items,
    Text,
    one_of,
)
from outgate.traffic.routing import Comparison, Match
from outgate.traffic.routing import Field as NamedCondition
from outgate.traffic.routing import Text as Condition

_COMPARED = {
    "exact": (Text(longest=1024, empty=True), "Equal to this.", Comparison.EXACT),
    "prefix": (Text(longest=1024), "Begins with this.", Comparison.PREFIX),
    "suffix": (Text(longest=1024), "Ends in this.", Comparison.SUFFIX),
    "regex": (Text(REGEX), "All of it matches this (RE2).", Comparison.REGEX),
}


def _condition(given: Mapping[str, Any], comparisons: Mapping[str, Comparison]) -> Condition:
    folds = bool(given.get("ignoreCase"))
    for name, comparison in comparisons.items():
        if name in given:
            return Condition(comparison, str(given[name]), folds)
    return Condition(Comparison.PRESENT)


def _path(**given: Any) -> Condition:
    comparisons = {
        "exact": Comparison.EXACT,
        "prefix": Comparison.PATH_PREFIX,
        "regex": Comparison.REGEX,
    }
    return _condition(given, comparisons)


def _named(name: str, *, invert: bool = False, **given: Any) -> NamedCondition:
    comparisons = {key: found for key, (_, _, found) in _COMPARED.items()}
    return NamedCondition(name, _condition(given, comparisons), invert)


PATH_MATCH = Fields(
    (
        Field("exact", Text(PATH), "The whole path."),
        Field("prefix", Text(PATH), "The path, or what it begins with up to a `/`."),
        Field("regex", Text(REGEX), "All of the path matches this (RE2)."),
        Field("ignoreCase", Flag(), "Upper and lower case are the same."),
    ),
    _path,
    (one_of("exact", "prefix", "regex"),),
)


def _conditions(name: Text, what: str) -> Fields:
    """Return a condition on something with a name; with the name alone, it must be there."""
    compared = tuple(Field(key, schema, doc) for key, (schema, doc, _) in _COMPARED.items())
    return Fields(
        (
            Field(
                "name",
                name,
                f"Name of the {what}; with nothing else it must be there.",
                required=True,
            ),
            *compared,
            Field("ignoreCase", Flag(), "Upper and lower case are the same."),
            Field("invert", Flag(), "The condition must not hold."),
        ),
        _named,
        (one_of(*_COMPARED, least=0),),
    )


HEADER_MATCH = _conditions(Text(HEADER), "header")
QUERY_MATCH = _conditions(Text(longest=128), "query parameter")
HEADER_MATCHES = Items(HEADER_MATCH, 16, 1)
METHODS = Items(Text(METHOD), 16, 1, ".")
MATCH = Fields(
    (
        Field("path", PATH_MATCH, "The path, without the query."),
        Field("methods", METHODS, "Any of these methods."),
        Field("headers", HEADER_MATCHES, "All of these."),
        Field("query", Items(QUERY_MATCH, 16, 1), "All of these."),
    ),
    Match,
)
