"""HTTPRoute (gateway.networking.k8s.io/v1): which backend gets which request, and what is changed on the way."""

from dataclasses import dataclass

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.gateway import filters, matches, reading, references
from outgate.resources.gateway.filters import TYPES, Where
from outgate.resources.gateway.reading import GROUP, Fields
from outgate.resources.gateway.routes import MOST_MATCHES, Backend, Form, Route, Rule, each, parse
from outgate.resources.paths import child
from outgate.resources.problems import Problem
from outgate.traffic.routing import Match, Retries, Timeouts

FIELDS = frozenset(("parentRefs", "useDefaultGateways", "hostnames", "rules"))
RULE_FIELDS = frozenset(
    ("name", "matches", "filters", "backendRefs", "timeouts", "retry", "sessionPersistence")
)
# Whoever writes `retry` wants attempts after failed connections too, as the specification recommends.
_CONNECTION = ("connect-failure", "refused-stream", "reset")
_HINT = "match the header host instead"


@dataclass(frozen=True, slots=True)
class HTTPRoute(Route):
    """A valid HTTPRoute."""


def parse_http_route(
    document: Document, default_namespace: str
) -> tuple[HTTPRoute | None, tuple[Problem, ...]]:
    """Read the HTTPRoute in `document`, None if anything in it is an error, and all its problems."""
    versions = (f"{GROUP}/v1", f"{GROUP}/v1beta1")
    return parse(document, default_namespace, Form(HTTPRoute, versions, FIELDS, _rule, _HINT))


def _rule(check: Checker, entry: Fields, path: str, namespace: str) -> Rule:
    check.unknown_fields(entry, path, RULE_FIELDS)
    hint = "an ExternalService can hash on a header or a cookie (loadBalancing)"
    reading.unsupported(check, entry, path, {"sessionPersistence": hint})
    found = each(
        check, entry, path, "matches", lambda one, at: matches.http(check, one, at), MOST_MATCHES
    )
    made = filters.filters(check, entry, path, Where(namespace, tuple(TYPES), found))
    backends = http_backends(check, entry, path, Where(namespace, tuple(TYPES), of_backend=True))
    if made.redirect is not None and entry.get("backendRefs"):
        message = "must not be there with a RequestRedirect"
        check.error(child(path, "backendRefs"), message, "remove one of the two")
    elif made.redirect is None:
        warn_empty(check, entry, path)
    timeouts, per_try = _timeouts(check, entry, path)
    return Rule(
        path=path,
        matches=found or (Match(),),
        backends=backends,
        mirrors=made.mirrors,
        redirect=made.redirect,
        rewrite=made.rewrite,
        request=made.request,
        response=made.response,
        timeouts=timeouts,
        retries=_retries(check, entry, path, per_try),
        unsupported=made.unsupported,
    )


def warn_empty(check: Checker, entry: Fields, path: str) -> None:
    """Say what becomes of requests for which there is no backend, as the specification has it."""
    if not entry.get("backendRefs"):
        message = "names no backend: requests that fall under this rule are answered with an error"
        check.warning(child(path, "backendRefs"), message, "to go on as before, name the parent")


def http_backends(check: Checker, entry: Fields, path: str, where: Where) -> tuple[Backend, ...]:
    """Read backends that have filters of their own."""

    def one(fields: Fields, at: str) -> Backend | None:
        made = filters.filters(check, fields, at, where)
        reference = references.backend(check, fields, at, where.namespace, ("filters",))
        if reference is None:
            return None
        return Backend(reference, made.request, made.response, made.unsupported)

    return each(check, entry, path, "backendRefs", one)


def _timeouts(check: Checker, entry: Fields, path: str) -> tuple[Timeouts, float | None]:
    given, here = check.mapping(entry, path, "timeouts") or {}, child(path, "timeouts")
    check.unknown_fields(given, here, ("request", "backendRequest"))
    whole = reading.duration(check, given, here, "request")
    one = reading.duration(check, given, here, "backendRequest")
    if whole and one and one > whole:
        check.error(child(here, "backendRequest"), "must not be longer than request")
    return Timeouts(request=whole), one or None


def _retries(check: Checker, entry: Fields, path: str, per_try: float | None) -> Retries | None:
    given, here = check.mapping(entry, path, "retry"), child(path, "retry")
    if given is None:
        return Retries(per_try=per_try) if per_try else None
    check.unknown_fields(given, here, ("codes", "attempts", "backoff"))
    codes = given.get("codes") or []
    if not isinstance(codes, list) or not all(
        type(code) is int and 400 <= code <= 599 for code in codes
    ):
        check.error(child(here, "codes"), "must be a list of status codes from 400 to 599")
        codes = []
    attempts = reading.number(check, given, here, "attempts", (1, 2**31 - 1))
    return Retries(
        attempts=Retries().attempts if attempts is None else attempts,
        on=_CONNECTION,
        statuses=tuple(codes),
        per_try=per_try,
        backoff=reading.duration(check, given, here, "backoff") or None,
    )
