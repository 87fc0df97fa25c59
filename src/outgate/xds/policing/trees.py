"""Pieces of the matchers (xds.type.matcher.v3) that filters decide by, as messages: there may be thousands of them."""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from google.protobuf import any_pb2
from google.protobuf.message import Message

from outgate.model.policies import ambiguous, among_expression, is_among
from outgate.traffic.permitting import Request
from outgate.traffic.routing import Comparison, Field, Text
from outgate.xds import building, naming
from outgate.xds import extensions as ext

Matcher: TypeAlias = Any
OnMatch: TypeAlias = Any
FieldMatcher: TypeAlias = Any
Predicate: TypeAlias = Any
"""The messages of these names, whose types are not known to the type checker."""
_Matcher = ext.matcher.Matcher
_List = _Matcher.MatcherList
_Predicate = _List.Predicate

RBAC_METADATA = "envoy.filters.http.rbac"
"""Namespace of the dynamic metadata in which Envoy's filter says what it decided."""


@functools.cache
def _packed(name: str, message: type[Message], key: str) -> any_pb2.Any:
    return building.pack(message(**{name: key}))


def fill_header(target: Any, header: str) -> None:
    """Make a header the input of a predicate or a tree."""
    target.input.name = "header"
    message = ext.http_inputs.HttpRequestHeaderMatchInput
    target.input.typed_config.CopyFrom(_packed("header_name", message, header))


def fill_state(target: Any, key: str) -> None:
    """Make filter state the input of a predicate or a tree."""
    target.input.name = "state"
    message = ext.network_inputs.FilterStateInput
    target.input.typed_config.CopyFrom(_packed("key", message, key))


def header(name: str, text: Text) -> Predicate:
    """Return whether a header is there, and is such."""
    predicate = _Predicate()
    fill_header(predicate.single_predicate, name)
    _fill_text(predicate, text)
    return predicate


def state(key: str, text: Text) -> Predicate:
    """Return whether filter state is there, and is such."""
    predicate = _Predicate()
    fill_state(predicate.single_predicate, key)
    _fill_text(predicate, text)
    return predicate


def contains(key: str, part: str) -> Predicate:
    """Return whether text in filter state has a part."""
    predicate = _Predicate()
    fill_state(predicate.single_predicate, key)
    predicate.single_predicate.value_match.contains = part
    return predicate


def _fill_text(predicate: Predicate, text: Text) -> None:
    match = predicate.single_predicate.value_match
    match.ignore_case = text.ignore_case
    comparison, value = text.comparison, text.value
    if comparison is Comparison.EXACT and value:
        match.exact = value
    elif comparison is Comparison.PREFIX and value:
        match.prefix = value
    elif comparison is Comparison.SUFFIX and value:
        match.suffix = value
    else:
        match.ignore_case = False
        match.safe_regex.google_re2.SetInParent()
        match.safe_regex.regex = _expression(text)


def _expression(text: Text) -> str:
    match text.comparison:
        case Comparison.REGEX:
            expression = text.value
        case Comparison.PATH_PREFIX:
            expression = f"{re.escape(text.value.rstrip('/'))}(/.*)?"
        case Comparison.EXACT:
            expression = ""
        case _:
            expression = ".*"
    return f"(?i){expression}" if text.ignore_case else expression


def every(predicates: Iterable[Predicate]) -> Predicate | None:
    """Return whether all hold; None where there is none, which always holds."""
    several = list(predicates)
    if len(several) < 2:
        return several[0] if several else None
    return _Predicate(and_matcher=_Predicate.PredicateList(predicate=several))


def some(predicates: Iterable[Predicate]) -> Predicate:
    """Return whether one of several holds."""
    several = list(predicates)
    if len(several) == 1:
        return several[0]
    return _Predicate(or_matcher=_Predicate.PredicateList(predicate=several))


def negated(predicate: Predicate) -> Predicate:
    """Return whether it does not hold."""
    return _Predicate(not_matcher=predicate)


def listed(entries: Iterable[FieldMatcher], otherwise: OnMatch | None = None) -> Matcher:
    """Return a matcher that asks one after the other; what finds nothing further down goes on with the next."""
    matcher = _Matcher(matcher_list=_List(matchers=list(entries)))
    if otherwise is not None:
        matcher.on_no_match.CopyFrom(otherwise)
    return matcher


def by_header(name: str, found: Mapping[str, OnMatch], otherwise: OnMatch | None = None) -> Matcher:
    """Return a matcher that looks a header up; there must be something to be found."""
    matcher = _Matcher()
    fill_header(matcher.matcher_tree, name)
    return _mapped(matcher, found, otherwise)


def by_state(key: str, found: Mapping[str, OnMatch], otherwise: OnMatch | None = None) -> Matcher:
    """Return a matcher that looks filter state up; there must be something to be found."""
    matcher = _Matcher()
    fill_state(matcher.matcher_tree, key)
    return _mapped(matcher, found, otherwise)


def _mapped(matcher: Matcher, found: Mapping[str, OnMatch], otherwise: OnMatch | None) -> Matcher:
    for key, value in found.items():
        matcher.matcher_tree.exact_match_map.map[key].CopyFrom(value)
    if otherwise is not None:
        matcher.on_no_match.CopyFrom(otherwise)
    return matcher


def action(name: str, *, allow: bool) -> OnMatch:
    """Return what the RBAC filter does, under a name that it writes into metadata and details."""
    decided = ext.rbac_action.Action(name=name)
    # Envoy's names mean what they say here.
    decided.action = ext.rbac_action.RBAC.ALLOW if allow else ext.rbac_action.RBAC.DENY
    return acting(name, decided)


def acting(name: str, message: Message) -> OnMatch:
    """Return what is done as a message."""
    found = _Matcher.OnMatch()
    found.action.name = name
    found.action.typed_config.CopyFrom(building.pack(message))
    return found


def nested(matcher: Matcher) -> OnMatch:
    """Return a matcher further down."""
    return _Matcher.OnMatch(matcher=matcher)


def entry(predicate: Predicate, found: OnMatch) -> FieldMatcher:
    """Return one of a list."""
    return _List.FieldMatcher(predicate=predicate, on_match=found)


def request(conditions: Request, *, denies: bool) -> Predicate | None:
    """Return whether a request is such; None where nothing is said, which all are."""
    wanted: list[Predicate] = []
    if conditions.methods:
        compared = (Text(Comparison.EXACT, one, ignore_case=denies) for one in conditions.methods)
        each = (header(":method", one) for one in compared)
        wanted.append(some(each))
    if conditions.paths:
        wanted.append(_paths(conditions.paths, denies=denies))
    wanted += [_header(each, denies=denies) for each in conditions.headers]
    return every(wanted)


def _paths(paths: Iterable[Text], *, denies: bool) -> Predicate:
    several = tuple(paths)
    such = some(state(naming.STATE_PATH, each) for each in several)
    unclear = Text(Comparison.REGEX, ambiguous(several, denies=denies))
    either = state(naming.STATE_PATH, unclear)
    if denies:
        return some((such, either))
    return _Predicate(and_matcher=_Predicate.PredicateList(predicate=[such, negated(either)]))


def _header(condition: Field, *, denies: bool) -> Predicate:
    text = condition.text
    if is_among(condition, denies=denies) and text.comparison is not Comparison.PRESENT:
        text = Text(Comparison.REGEX, among_expression(text))
    found = header(condition.name.lower(), text)
    return negated(found) if condition.inverted else found


def running() -> Any:
    """Return the filter that runs others, found by the caller's namespace; what it runs is to be added."""
    message = ext.extension_matcher.ExtensionWithMatcher()
    message.extension_config.name = "envoy.filters.http.composite"
    message.extension_config.typed_config.CopyFrom(building.pack(ext.composite.Composite()))
    return message
