"""Says a destination in the words that ExternalService has, without changing what it does."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from outgate.model.attaching import targets
from outgate.model.destinations import External, Port
from outgate.traffic.references import Protocol
from outgate.traffic.routing import Comparison, Field, Match, Rewrite, Rule, Text
from outgate.traffic.upstream import Upstream

_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")


def quoted(text: str) -> str:
    """Return a regular expression (RE2) for text as it is."""
    return _SPECIAL.sub(r"\\\1", text)


def simplified(external: External) -> External:
    """Return what does the same."""
    own = external.name.namespace
    visible = None if external.visible is None else external.visible | {own}
    http = any(port.is_http for port in external.ports)
    rules = tuple(_live(_rule(each, visible) for each in external.rules)) if http else ()
    return replace(
        external,
        visible=visible,
        ports=tuple(_port(each) for each in external.ports),
        rules=rules,
    )


def anonymous(external: External) -> External:
    """Return what does the same, without who declares it and since when, to compare."""
    simple = simplified(external)
    rules = tuple(replace(each, source="") for each in simple.rules)
    wanted = targets(rules)
    peers = tuple(
        # How a peer is connected to is said of it itself.
        replace(each, port=replace(each.port, upstream=Upstream()))
        for each in sorted(set(external.peers), key=str)
        if each.target in wanted
    )
    return replace(simple, created="", source="", rules=rules, peers=peers)


def _port(port: Port) -> Port:
    upstream = replace(port.upstream, names=None)
    if port.protocol is Protocol.TLS:
        # The application's own is passed through, whatever is said.
        upstream = replace(upstream, tls=None)
    private = tuple(sorted(set(upstream.private), key=str)) if upstream.private else None
    return replace(port, upstream=replace(upstream, private=private))


def common(external: External) -> Upstream | None:
    """Return what all ports have in common, but for TLS; None where they differ."""
    found = {replace(each.upstream, tls=None) for each in external.ports}
    return next(iter(found), Upstream()) if len(found) < 2 else None


def _live(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Return rules up to the first one that holds for every request: none after it ever does."""
    for rule in rules:
        yield rule
        if not rule.matches and not rule.ports and rule.callers is None:
            return


def _rule(rule: Rule, visible: frozenset[str] | None) -> Rule:
    callers = rule.callers
    if callers is not None and visible is not None and visible <= callers:
        callers = None
    matches = tuple(dict.fromkeys(_match(each) for each in rule.matches))
    return replace(
        rule,
        callers=callers,
        matches=() if Match() in matches else matches,
        rewrite=_rewrite(rule),
    )


def _match(match: Match) -> Match:
    return replace(
        match,
        path=_path(match.path) if match.path else None,
        headers=tuple(_field(each) for each in match.headers),
        query=tuple(_field(each) for each in match.query),
    )


def _path(text: Text) -> Text | None:
    """Say a plain prefix by a regular expression: an ExternalService's ends at a slash."""
    if text.comparison is not Comparison.PREFIX:
        return text
    if text.value in ("", "/"):
        return None
    fold = "(?i)" if text.ignore_case else ""
    return Text(Comparison.REGEX, f"{fold}{quoted(text.value)}.*")


def _field(field: Field) -> Field:
    """Say by presence what holds for every value."""
    if field.text.comparison is Comparison.PREFIX and not field.text.value:
        return replace(field, text=Text(Comparison.PRESENT))
    return field


def _rewrite(rule: Rule) -> Rewrite | None:
    """Say by a regular expression what replaces a plain prefix."""
    rewrite = rule.rewrite
    if rewrite is None or rewrite.path is None or rewrite.whole:
        return rewrite
    paths = [each.path or Text(Comparison.PREFIX, "/") for each in rule.matches or (Match(),)]
    if any(each.comparison is not Comparison.PREFIX for each in paths):
        return rewrite
    # The longest first, as of one that begins with another.
    prefixes = sorted({each.value or "/" for each in paths}, key=lambda each: (-len(each), each))
    fold = "(?i)" if any(each.ignore_case for each in paths) else ""
    pattern = "|".join(quoted(each) for each in prefixes)
    pattern = f"(?:{pattern})" if len(prefixes) > 1 else pattern
    substitution = rewrite.path.replace("\\", "\\\\")
    return Rewrite(regex=f"{fold}^{pattern}", substitution=substitution, host=rewrite.host)
