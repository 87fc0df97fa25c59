"""Who may call what, decided as the egress Envoy decides it; what is rendered for Envoy is held to this by tests.

A policy speaks of calls from its own namespace, and of what is declared: it never opens what is not. Where a namespace
has an enforced policy, its pods may call what a rule allows that selects them, and nothing that one denies. The order
is the same whatever the order in the resources: rules that deny before rules that allow; of each, those that name a
resource, then those that name a host, a wildcard, and everything; of these by the policy's name, and as written.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from outgate.model.workloads import Workload
from outgate.resources import expressions
from outgate.traffic.permitting import (
    Callee,
    Effect,
    LocalLimit,
    Mode,
    Policy,
    PolicyRule,
    Request,
    Share,
    Subject,
)
from outgate.traffic.routing import Comparison, Field, Text

NO_POLICY, NO_RULE = "declared", "no rule of an EgressPolicy in this namespace allows it"
"""What decides where no policy is enforced, and where no rule allows a call."""

AMBIGUOUS = (
    r".*(//|/\.\.?(/|$)|\\|;|%(2[dDeEfF5]|3[0-9]|4[1-9a-fA-F]|5[0-9aAcCfF]|6[1-9a-fA-F]|7[0-9aAeE]|00"
    r"|[cC][01]|[^0-9a-fA-F]|.([^0-9a-fA-F]|$)|$)).*"
)
"""Paths that servers read in more than one way: empty and dot segments, parameters, encoded letters, digits, dots,
slashes and percent signs, and what is no encoding, or one of too many bytes. A condition on such a path never allows,
and always denies."""
_DELIMITERS = r"|.*%(2[146-9a-cA-C]|3[aAdD]|40).*"
"""What a rule that denies a path with a `:`, say, takes for ambiguous too: such characters, encoded."""


def ambiguous(paths: Iterable[Text], *, denies: bool) -> str:
    """Return the regular expression of paths that are ambiguous to a rule with these conditions on paths."""
    literal, regex = set("!$&'()*+,:=@"), set("!&',:=@")
    looked_at = (
        set(each.value) & (regex if each.comparison is Comparison.REGEX else literal)
        for each in paths
    )
    return AMBIGUOUS + _DELIMITERS if denies and any(looked_at) else AMBIGUOUS


@dataclass(frozen=True, slots=True)
class Call:
    """What is called, and how.

    `source` is the resource that declares it, as `kind/name` in lower case, in `namespace`. `host` is the name outside
    in lower case (of a wildcard, the one asked for), empty for a service inside. Only HTTP has a method and what
    follows; `path` is without the query, headers are by name in lower case. `elsewhere`: the request, or a copy, may go
    to another destination, so that no credential may be put in.
    """

    namespace: str
    source: str
    host: str
    port: int
    is_http: bool = True
    method: str = "GET"
    path: str = "/"
    elsewhere: bool = False
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Ruling:
    """A rule of a policy; in logs it is `egresspolicy/NAME/rule-1`, with its limit if it has one."""

    policy: Policy
    number: int
    rule: PolicyRule

    @property
    def name(self) -> str:
        """What it is known by; rules are counted from 1."""
        limit = self.rule.local_limit
        text = f"egresspolicy/{self.key}"
        return f"{text} ({limit_text(limit)})" if limit else text

    @property
    def key(self) -> str:
        """What it is known by in its namespace, whatever it says: `NAME/rule-1`."""
        return f"{self.policy.name}/rule-{self.number}"

    @property
    def http_only(self) -> bool:
        """Whether it is about HTTP requests only: other calls have nothing to look at, count, or add a header to."""
        rule = self.rule
        return bool(rule.requests or rule.local_limit or rule.global_limit or rule.credential)


def limit_text(limit: LocalLimit) -> str:
    """Say a limit: `10 per 1s for each pod`."""
    whom = "each pod" if limit.share is Share.POD else "all"
    return f"{limit.requests} per {limit.seconds:g}s for {whom}"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may be made, and by what: a rule's name, NO_RULE or NO_POLICY.

    `audit` is what would be decided if audited policies were enforced too; empty where there is none.
    """

    allowed: bool
    by: str
    ruling: Ruling | None = None
    audit: str = ""


def rulings(policies: Iterable[Policy], effect: Effect) -> tuple[Ruling, ...]:
    """Return the rules of one effect in the order in which they are asked, but for what their callees say."""
    return tuple(
        Ruling(policy, number, rule)
        for policy in sorted(policies, key=lambda each: each.name)
        for number, rule in enumerate(policy.rules, 1)
        if rule.effect is effect
    )


def evaluate(policies: Iterable[Policy], caller: Workload, call: Call) -> Decision:
    """Decide on a call by a pod; `policies` are of any namespace."""
    own = tuple(each for each in policies if each.namespace == caller.name.namespace)
    enforced = tuple(each for each in own if each.mode is Mode.ENFORCE)
    allowed, found = _decide(enforced, caller, call)
    audit = ""
    if len(enforced) < len(own):
        would, other = _decide(own, caller, call)
        audit = audited(other.name if other else NO_RULE, allowed=would)
    by = found.name if found else NO_RULE if enforced else NO_POLICY
    return Decision(allowed or not enforced, by, found, audit)


def audited(by: str, *, allowed: bool) -> str:
    """Return what the log says of what audited policies would decide."""
    return f"{'allowed' if allowed else 'denied'} by {by}"


def _decide(
    policies: tuple[Policy, ...], caller: Workload, call: Call
) -> tuple[bool, Ruling | None]:
    for effect in (Effect.DENY, Effect.ALLOW):
        for _, ruling, callee in ordered(rulings(policies, effect)):
            if _matches(ruling, callee, caller, call):
                leaks = call.elsewhere and ruling.rule.credential is not None
                return effect is Effect.ALLOW and not leaks, ruling
    return False, None


def ordered(found: Iterable[Ruling]) -> list[tuple[int, Ruling, Callee]]:
    """Return rules once for each callee: 0 those that name a resource, 1 a host, 2 a wildcard, 3 neither."""
    every = [(_rank(callee), each, callee) for each in found for callee in _callees(each.rule)]
    return sorted(every, key=lambda item: item[0])


def _callees(rule: PolicyRule) -> Iterator[Callee]:
    yield from rule.callees or (Callee(),)


def _rank(callee: Callee) -> int:
    if callee.name:
        return 0
    if callee.host:
        return 2 if callee.host.startswith("*.") else 1
    return 3


def _matches(ruling: Ruling, callee: Callee, caller: Workload, call: Call) -> bool:
    requests = ruling.rule.requests
    denies = ruling.rule.effect is Effect.DENY
    return (
        selects(ruling.policy.subject, caller)
        and _is_called(callee, ruling.policy.namespace, call)
        and (call.is_http or not ruling.http_only)
        and (not requests or any(_fits(each, call, denies=denies) for each in requests))
    )


def selects(subject: Subject, caller: Workload) -> bool:
    """Whether a pod of the policy's namespace is meant."""
    accounts = subject.service_accounts
    return all(caller.labels.get(key) == value for key, value in subject.labels.items()) and (
        not accounts or caller.service_account in accounts
    )


def source_of(callee: Callee, namespace: str) -> tuple[str, str]:
    """Return the namespace and the `kind/name` of the resource that a callee names, to a policy of a namespace."""
    return callee.namespace or namespace, f"{callee.kind.lower()}/{callee.name}"


def _is_called(callee: Callee, namespace: str, call: Call) -> bool:
    if callee.ports and call.port not in callee.ports:
        return False
    if callee.name:
        return (call.namespace, call.source) == source_of(callee, namespace)
    if callee.host.startswith("*."):
        return call.host.endswith(callee.host[1:].lower())
    return not callee.host or call.host == callee.host.lower()


def _fits(request: Request, call: Call, *, denies: bool) -> bool:
    if request.methods and not _has_method(request.methods, call.method, denies=denies):
        return False
    if request.paths:
        if re.fullmatch(ambiguous(request.paths, denies=denies), call.path):
            if not denies:
                return False
        elif not any(text_matches(each, call.path) for each in request.paths):
            return False
    return all(_holds(each, call.headers, denies=denies) for each in request.headers)


def _has_method(methods: tuple[str, ...], method: str, *, denies: bool) -> bool:
    # There are servers to which "delete" is DELETE.
    return method in methods or (denies and method.upper() in {each.upper() for each in methods})


def is_among(condition: Field, *, denies: bool) -> bool:
    """Whether one of several values of a header is enough, so that no other one beside it hides it from a rule."""
    return denies is not condition.inverted


def _holds(condition: Field, headers: Mapping[str, str], *, denies: bool) -> bool:
    value = headers.get(condition.name.lower())
    if value is None:
        return condition.inverted
    among = is_among(condition, denies=denies)
    values = _among(value) if among else (value,)
    return any(text_matches(condition.text, each) for each in values) is not condition.inverted


def _among(value: str) -> Iterator[str]:
    """Yield each part of a header of several values, as they are one with commas by then."""
    parts = value.split(",")
    for start in range(len(parts)):
        for end in range(start + 1, len(parts) + 1):
            part = ",".join(parts[start:end])
            yield part
            yield part.strip(" \t")


def among_expression(text: Text) -> str:
    """Return the regular expression of what has a value that a condition holds for among others."""
    literal = re.escape(text.value)
    forms = {
        Comparison.EXACT: literal,
        Comparison.PREFIX: f"{literal}.*",
        Comparison.PATH_PREFIX: f"{re.escape(text.value.rstrip('/'))}(/.*)?",
        Comparison.SUFFIX: f".*{literal}",
        Comparison.REGEX: f"(?:{text.value})",
        Comparison.PRESENT: ".*",
    }
    expression = rf"(.*,)?[ \t]*{forms[text.comparison]}[ \t]*(,.*)?"
    return f"(?i){expression}" if text.ignore_case else expression


def text_matches(text: Text, value: str) -> bool:
    """Whether a condition on text holds."""
    wanted = text.value
    if text.comparison is Comparison.REGEX:
        return expressions.matches(wanted, value, ignore_case=text.ignore_case)
    if text.ignore_case:
        wanted, value = wanted.lower(), value.lower()
    match text.comparison:
        case Comparison.EXACT:
            return value == wanted
        case Comparison.PREFIX:
            return value.startswith(wanted)
        case Comparison.PATH_PREFIX:
            return value == wanted.rstrip("/") or value.startswith(wanted.rstrip("/") + "/")
        case Comparison.SUFFIX:
            return value.endswith(wanted)
        case Comparison.PRESENT:
            return True
