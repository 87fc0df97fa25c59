"""Writes what is changed of a request or an answer on the way: headers, path and host."""

import re
from collections.abc import Iterable
from typing import Any

from outgate.traffic.routing import Comparison, Edits, Match, Redirect, Rewrite
from outgate.xds import extensions as ext

_HOST = frozenset({":authority", "host"})


def headers(message: Any, request: Edits, response: Edits) -> None:
    """Change the headers of a request and of its answer, on a route or on one of its clusters."""
    _add(message.request_headers_to_add, request)
    _add(message.response_headers_to_add, response)
    message.request_headers_to_remove.extend(_ordinary(request.remove))
    message.response_headers_to_remove.extend(_ordinary(response.remove))


def host(edits: Edits) -> str:
    """Return the Host that edits put in; empty where they do not."""
    return next((value for name, value in edits.put if name.lower() in _HOST), "")


def _ordinary(names: Iterable[str]) -> list[str]:
    """Leave out what says where a request goes: Envoy refuses a route that changes that so (see `host`)."""
    return [each for each in names if not each.startswith(":") and each.lower() not in _HOST]


def _add(options: Any, edits: Edits) -> None:
    action = ext.base.HeaderValueOption
    for pairs, kind in (
        (edits.put, action.OVERWRITE_IF_EXISTS_OR_ADD),
        (edits.add, action.APPEND_IF_EXISTS_OR_ADD),
    ):
        for name, value in pairs:
            if _ordinary((name,)):
                option = options.add(append_action=kind, keep_empty_value=True)
                option.header.key = name
                # What users write is text, and no format.
                option.header.value = value.replace("%", "%%")


def path(action: ext.route_components.RouteAction, rewrite: Rewrite, match: Match) -> None:
    """Change the path that goes out; the query is kept."""
    if rewrite.regex:
        _substitute(action.regex_rewrite, rewrite.regex, rewrite.substitution)
    elif rewrite.path is not None and rewrite.whole:
        _substitute(action.regex_rewrite, "^.*$", _literal(rewrite.path))
    elif rewrite.path is not None:
        _replace_prefix(action, rewrite.path, match)


def _replace_prefix(action: Any, new: str, match: Match) -> None:
    """Replace what the match found; where that ends at a `/`, so does what replaces it, once.

    Gateway API's table has it: `/foo` replaced by `/` or by nothing makes `/bar` of `/foo/bar`.
    """
    text = match.path
    if text is not None and text.comparison is not Comparison.PATH_PREFIX:
        action.prefix_rewrite = new
        return
    old, put = ("" if text is None else text.value.rstrip("/")), new.rstrip("/")
    if old and put:
        action.prefix_rewrite = put
        return
    case = "(?i)" if text is not None and text.ignore_case else ""
    _substitute(action.regex_rewrite, f"{case}^{re.escape(old)}/*", f"{_literal(put)}/")


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\")


def _substitute(rewrite: Any, regex: str, put: str) -> None:
    rewrite.pattern.regex, rewrite.substitution = regex, put


_STATUS = {301: 0, 302: 1, 303: 2, 307: 3, 308: 4}
"""Envoy's numbers for those of HTTP."""
_SCHEME_PORTS = {"http": 80, "https": 443}


def redirect(
    action: ext.route_components.RedirectAction, wanted: Redirect, match: Match, port: int
) -> None:
    """Send the client elsewhere; where neither scheme nor port is said, to the port that it called."""
    action.scheme_redirect, action.host_redirect = wanted.scheme, wanted.host
    default = _SCHEME_PORTS.get(wanted.scheme)
    if (number := wanted.port or default or port) != (default or 80):
        action.port_redirect = number
    if wanted.path:
        action.path_redirect = wanted.path
    elif wanted.prefix is not None:
        _replace_prefix(action, wanted.prefix, match)
    action.response_code = _STATUS[wanted.status]
