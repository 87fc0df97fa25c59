"""Writes conditions on a request as Envoy's route matches."""

import re

from outgate.model.visibility import Callers
from outgate.traffic.routing import Comparison, Field, Match, Text
from outgate.xds import extensions as ext
from outgate.xds import naming


def on_port(match: ext.route_components.RouteMatch, port: int) -> None:
    """Require the port that was called."""
    header = match.headers.add(name=naming.PORT_HEADER)
    header.string_match.exact = str(port)


def by(match: ext.route_components.RouteMatch, callers: Callers) -> None:
    """Require that one of some callers calls."""
    if callers.everyone:
        return
    header = match.headers.add(name=naming.NAMESPACE_HEADER, invert_match=callers.others)
    _one_of(header.string_match, sorted(callers.namespaces))


def fill(match: ext.route_components.RouteMatch, wanted: Match) -> None:
    """Require all of a match; it says nothing of the path where that may be any."""
    _path(match, wanted.path)
    if wanted.methods:
        _one_of(match.headers.add(name=":method").string_match, wanted.methods)
    for each in wanted.headers:
        _header(match.headers.add(name=each.name), each)
    for each in wanted.query:
        if each.inverted:
            _query_inverted(match.headers.add(name=":path"), each)
        else:
            query = match.query_parameters.add(name=each.name)
            if each.text.comparison is Comparison.PRESENT:
                query.present_match = True
            else:
                string(query.string_match, each.text)


def _one_of(matcher: ext.string.StringMatcher, values: tuple[str, ...] | list[str]) -> None:
    """Require one of several words without a meaning in an expression: methods, or names of namespaces."""
    if len(values) == 1:
        matcher.exact = values[0]
    else:
        matcher.safe_regex.regex = "|".join(re.escape(each) for each in values)


def string(matcher: ext.string.StringMatcher, text: Text) -> None:
    """Write a condition on text other than that it is there."""
    match text.comparison:
        case Comparison.EXACT:
            matcher.exact = text.value
        case Comparison.PREFIX | Comparison.PATH_PREFIX:
            matcher.prefix = text.value
        case Comparison.SUFFIX:
            matcher.suffix = text.value
        case Comparison.REGEX:
            matcher.safe_regex.regex = _expression(text)
            return
        case Comparison.PRESENT:
            matcher.safe_regex.regex = _ANYTHING
            return
    matcher.ignore_case = text.ignore_case


_ANYTHING = r"(?s:.*)"


def _expression(text: Text) -> str:
    return f"(?i:{text.value})" if text.ignore_case else text.value


def _regex(text: Text) -> str:
    """Return an expression that matches what a condition does, all of it."""
    literal = re.escape(text.value)
    forms = {
        Comparison.EXACT: literal,
        Comparison.PREFIX: f"{literal}[^&]*",
        Comparison.PATH_PREFIX: f"{literal}[^&]*",
        Comparison.SUFFIX: f"[^&]*{literal}",
        Comparison.REGEX: f"(?:{text.value})",
        Comparison.PRESENT: "[^&]*",
    }
    form = forms[text.comparison]
    return f"(?i:{form})" if text.ignore_case else form


def _path(match: ext.route_components.RouteMatch, path: Text | None) -> None:
    if path is None or path.comparison is Comparison.PRESENT:
        match.prefix = "/"
        return
    match path.comparison:
        case Comparison.EXACT:
            match.path = path.value
        case Comparison.PREFIX:
            match.prefix = path.value
        case Comparison.PATH_PREFIX if separated := path.value.rstrip("/"):
            match.path_separated_prefix = separated
        case Comparison.PATH_PREFIX:
            match.prefix = "/"
        case Comparison.SUFFIX:
            ending = f".*{re.escape(path.value)}"
            match.safe_regex.regex = f"(?i:{ending})" if path.ignore_case else ending
        case _:
            match.safe_regex.regex = _expression(path)
    if path.ignore_case and not match.HasField("safe_regex"):
        match.case_sensitive.value = False


def _header(header: ext.route_components.HeaderMatcher, wanted: Field) -> None:
    header.invert_match = wanted.inverted
    if wanted.text.comparison is Comparison.PRESENT:
        header.present_match = True
        return
    string(header.string_match, wanted.text)
    # One that is not there has not the value either.
    header.treat_missing_header_as_empty = wanted.inverted


def _query_inverted(path: ext.route_components.HeaderMatcher, wanted: Field) -> None:
    """Require that a parameter is not so; Envoy's own matcher of parameters cannot say that."""
    path.invert_match = True
    value = _regex(wanted.text)
    # A parameter without "=" has an empty value.
    empty = "|(?:)" if wanted.text.comparison is Comparison.PRESENT else ""
    path.string_match.safe_regex.regex = (
        rf"[^?]*\?(?:.*&)?{re.escape(wanted.name)}(?:={value}{empty})(?:&.*)?"
    )
