"""Forms of text in HTTP: headers, methods, paths, and the regular expressions that these are compared with."""

import posixpath
import re
import urllib.parse
import warnings

from outgate.resources import expressions
from outgate.resources.names import Flaw
from outgate.resources.paths import quote
from outgate.resources.schemas import Form

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = ("x-outgate-", "x-envoy-")
_HELD_HEADERS = frozenset(
    ("host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "keep-alive")
)
# What Python's regular expressions have and RE2 has not: look-around, back references, atomic and conditional groups.
_NOT_RE2 = re.compile(r"\(\?(?:[=!>(]|<[=!]|P[=>])|\\[1-9gkZ]|[*+?}]\+")


def _header_flaw(value: str) -> Flaw | None:
    if not _TOKEN.fullmatch(value):
        return Flaw(f"{quote(value)} is not the name of a header", "for example x-request-id")
    return None


def _set_header_flaw(value: str) -> Flaw | None:
    lower = value.lower()
    if lower in _HELD_HEADERS:
        hint = "write rewrite.host" if lower == "host" else "remove it"
        return Flaw(f"{value} cannot be changed: the egress sets it", hint)
    if lower.startswith(_OWN_HEADERS):
        return Flaw(f"{value} cannot be changed: it is the mesh's own", "use another name")
    return _header_flaw(value)


_FIELD_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
HEADER = Form(_header_flaw, pattern=_FIELD_NAME, make=str.lower, says="name of a header")
SET_HEADER = Form(
    _set_header_flaw,
    (
        (
            "!(self.lowerAscii() in ["
            + ", ".join(f"'{each}'" for each in sorted(_HELD_HEADERS))
            + "]) && !self.lowerAscii().startsWith('x-outgate-') && !self.lowerAscii().startsWith('x-envoy-')",
            "cannot be changed: the egress or the mesh sets it",
        ),
    ),
    pattern=_FIELD_NAME,
    make=str.lower,
    says="name of a header",
)


def _method_flaw(value: str) -> Flaw | None:
    if re.fullmatch("[A-Z]+([-_][A-Z]+)*", value):
        return None
    return Flaw(
        f"{quote(value)} is not a method",
        f"methods are in capitals: {value.upper()}" if value.isalpha() else "",
    )


METHOD = Form(_method_flaw, pattern="^[A-Z]+([-_][A-Z]+)*$", longest=32, says="method, in capitals")


def _path_flaw(value: str) -> Flaw | None:
    if not value.startswith("/"):
        return Flaw(
            f"{quote(value)} is not a path: it begins with /", f"write /{value.lstrip('/')}"
        )
    if re.search(r"[\s?#\x00-\x1f\x7f]", value):
        return Flaw(
            f"{quote(value)} is not a path: it has a space, ? or #", "match a query with query"
        )
    if not value.isascii():
        hint = f"write {urllib.parse.quote(value, safe=_PATH_SAFE)}"
        return Flaw(f"{quote(value)} is not a path: in calls it is percent-encoded", hint)
    if re.search(r"/\.\.?(/|$)", value):
        said = (
            f"{quote(value)} is no path of any call: . and .. are taken out before it is looked at"
        )
        return Flaw(said, f"write {posixpath.normpath(value)}")
    return None


# Visible ASCII but for ? and #; without slashes; and that cannot begin a segment that is "." or "..".
_PATH_SAFE = "/!$&'()*+,;=:@%~-._"
_IN, _FIRST = r'[!"$-.0->@-~]', r'[!"$-\-0->@-~]'
_SEGMENT = rf"({_FIRST}{_IN}*|\.{_FIRST}{_IN}*|\.\.{_IN}+)?"
PATH = Form(_path_flaw, pattern=f"^(/{_SEGMENT})+$", longest=1024, says="path")
"""A path as it is when calls are matched: normalised."""


_MOST_REPEATS = 1000
"""RE2's limit."""


def _regex_flaw(value: str) -> Flaw | None:
    # What RE2 has and Python's has not, by what is like it: classes of Unicode, and names without a P.
    alike = re.sub(r"\\[pP](\{\^?\w+\}|\w)", r"\\w", value).replace("(?<", "(?P<")
    if found := _NOT_RE2.search(re.sub(r"\\\\", "", value)):
        message = f"{quote(value)} has {found[0]}, which RE2 does not know"
        return Flaw(message, "write it without look-around and back references")
    if any(int(each) > _MOST_REPEATS for each in re.findall(r"\{(\d{1,9})", value)):
        return Flaw(f"{quote(value)} repeats something more than {_MOST_REPEATS} times", "write *")
    try:
        with warnings.catch_warnings():
            # Of what may come to mean something else in Python, which is not RE2.
            warnings.simplefilter("ignore")
            re.compile(alike)
    except (re.error, OverflowError, RecursionError) as error:
        message = f"{quote(value)} is not a regular expression: {error}"
        return Flaw(message, "it is RE2, and must match all of the text")
    if words := expressions.trouble(value):
        message = f"{quote(value)} is no regular expression to RE2: {words}"
        return Flaw(message, "it must match all of the text; see github.com/google/re2/wiki/Syntax")
    return None


def wrong_group(pattern: str, substitution: str) -> tuple[str, int]:
    """Return the first reference of a substitution to a group that its pattern has not, and how many it has.

    Empty where there is none. Envoy would take no route of the host.
    """
    groups = expressions.groups(pattern)
    if groups is None:
        return "", 0
    for found in re.finditer(r"\\(.?)", substitution):
        if found[1] != "\\" and not (found[1].isdecimal() and int(found[1]) <= groups):
            return found[0], groups
    return "", groups


REGEX = Form(
    _regex_flaw,
    (("''.matches(self) in [true, false]", "is not a regular expression (RE2)"),),
    longest=256,
    says="regular expression (RE2) for all of the text",
)

_VALUE = r"[^\x00-\x08\x0a-\x1f\x7f]*"
HEADER_VALUE = Form(
    lambda value: (
        None
        if re.fullmatch(_VALUE, value)
        else Flaw(f"{quote(value)} has a control character", "write it on one line")
    ),
    pattern=f"^{_VALUE}$",
    longest=4096,
    says="value of a header",
)
