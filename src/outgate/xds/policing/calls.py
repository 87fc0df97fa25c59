"""Who may make which HTTP call: the RBAC filter's matchers, one part for each namespace.

A destination is known by what its own route says (the metadata `resource` and `host`), never by a header: whatever Host
found the route, what the route is for is what is judged. So policies are rendered without looking at destinations, and
a policy for everything touches none of them. What a pod is to policies is looked up once for each call, by another
matcher, so that pods come and go without a change to the rules.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from outgate.model import policies as model
from outgate.model.policies import Ruling, ordered, rulings
from outgate.model.workloads import Workload
from outgate.traffic.permitting import Callee, Effect, Mode, Policy, Subject
from outgate.traffic.routing import Comparison, Text
from outgate.xds import naming
from outgate.xds.denials import NOT_DECLARED
from outgate.xds.policing import trees
from outgate.xds.policing.trees import FieldMatcher, Matcher, OnMatch, Predicate

UNKNOWN_POD = "this pod is not known here yet, and policies may be about it"
UPPER_CASE = "policies are about hosts in lower case: call it so"
"""What decides where a policy cannot be sure; as in `denials`, where nothing declares what is called."""
ELSEWHERE = " would put its credential into what goes to another destination too"
NO_SERVICE = " needs a rate-limit service, which no setting names"
"""What follows the name of a rule that would allow a call, and cannot."""
_ANY = Text(Comparison.PRESENT)


@dataclass(frozen=True, slots=True)
class Part:
    """What a namespace's policies decide, and what audited ones would; None where there are none of that kind."""

    enforced: OnMatch | None = None
    audited: OnMatch | None = None


def part(namespace: str, policies: Iterable[Policy], *, counted: bool) -> Part:
    """Return what a namespace's policies decide; `counted` tells whether there is a rate-limit service."""
    own = tuple(policies)
    enforced = tuple(each for each in own if each.mode is Mode.ENFORCE)
    return Part(
        trees.nested(_tree(namespace, enforced, counted=counted)) if enforced else None,
        trees.nested(_tree(namespace, own, counted=counted, audit=True))
        if len(enforced) < len(own)
        else None,
    )


def subject_key(subject: Subject) -> str:
    """Return what pods of a subject have among others in filter state: `|1f0c...|`."""
    said = (sorted(subject.labels.items()), sorted(subject.service_accounts))
    return f"|{hashlib.blake2b(repr(said).encode(), digest_size=8).hexdigest()}|"


def _is_everyone(subject: Subject) -> bool:
    return not subject.labels and not subject.service_accounts


def pods(namespace: str, policies: Iterable[Policy], members: Iterable[Workload]) -> Matcher | None:
    """Return the matcher that says what a namespace's pods are to its policies; None where there is none."""
    subjects = {subject_key(each.subject): each.subject for each in policies}
    found = {
        pod.name.name: trees.action(
            "|" + "".join(key[1:] for key in sorted(subjects) if model.selects(subjects[key], pod)),
            allow=True,
        )
        for pod in sorted(members, key=lambda each: each.name)
    }
    return of(namespace, trees.nested(trees.by_header(naming.POD_HEADER, found))) if found else None


@dataclass(frozen=True, slots=True)
class _Style:
    """How the rules of a namespace are written."""

    always: Predicate
    counted: bool
    audit: bool

    def decided(self, by: str, *, allow: bool) -> OnMatch:
        name = model.audited(by, allowed=allow) if self.audit else by
        return trees.action(name, allow=allow)


def _tree(
    namespace: str, policies: tuple[Policy, ...], *, counted: bool, audit: bool = False
) -> Matcher:
    always = trees.header(naming.NAMESPACE_HEADER, Text(Comparison.EXACT, namespace))
    style = _Style(always, counted, audit)
    missing = trees.negated(trees.state(naming.STATE_RESOURCE, _ANY))
    unknown = trees.negated(trees.state(naming.STATE_SUBJECTS, _ANY))
    upper = trees.state(naming.STATE_HOST, Text(Comparison.REGEX, ".*[A-Z].*"))
    entries = [
        trees.entry(missing, style.decided(NOT_DECLARED, allow=False)),
        trees.entry(unknown, style.decided(UNKNOWN_POD, allow=False)),
    ]
    if any(callee.host for policy in policies for rule in policy.rules for callee in rule.callees):
        entries.append(trees.entry(upper, style.decided(UPPER_CASE, allow=False)))
    for effect in (Effect.DENY, Effect.ALLOW):
        entries += _of_effect(rulings(policies, effect), style)
    return trees.listed(entries, style.decided(model.NO_RULE, allow=False))


def _of_effect(found: Iterable[Ruling], style: _Style) -> list[FieldMatcher]:
    resources: dict[str, list[FieldMatcher]] = {}
    hosts: dict[str, list[FieldMatcher]] = {}
    others: list[FieldMatcher] = []
    for _, ruling, callee in ordered(found):
        made = _entries(ruling, callee, style)
        if callee.name:
            resources.setdefault(resource(callee, ruling.policy.namespace), []).extend(made)
        elif callee.host and not callee.host.startswith("*."):
            hosts.setdefault(callee.host.lower(), []).extend(made)
        else:
            others += made
    return [
        *_looked_up(naming.STATE_RESOURCE, resources, style),
        *_looked_up(naming.STATE_HOST, hosts, style),
        *others,
    ]


def _looked_up(
    key: str, found: Mapping[str, list[FieldMatcher]], style: _Style
) -> list[FieldMatcher]:
    if not found:
        return []
    each = {name: trees.nested(trees.listed(entries)) for name, entries in found.items()}
    return [trees.entry(style.always, trees.nested(trees.by_state(key, each)))]


def resource(callee: Callee, namespace: str) -> str:
    """Return the resource that a callee names, as routes have it in their metadata."""
    return "/".join(model.source_of(callee, namespace))


def _entries(ruling: Ruling, callee: Callee, style: _Style) -> list[FieldMatcher]:
    rule, wanted = ruling.rule, [*_called(callee)]
    subject = ruling.policy.subject
    if not _is_everyone(subject):
        wanted.append(trees.contains(naming.STATE_SUBJECTS, subject_key(subject)))
    denies = rule.effect is Effect.DENY
    such = [trees.request(each, denies=denies) for each in rule.requests]
    if such and None not in such:
        wanted.append(trees.some(each for each in such if each is not None))
    entries = []
    if rule.credential is not None:
        elsewhere = (*wanted, trees.state(naming.STATE_ELSEWHERE, _ANY))
        leaks = style.decided(ruling.name + ELSEWHERE, allow=False)
        entries.append(trees.entry(trees.every(elsewhere) or style.always, leaks))
    uncounted = rule.global_limit is not None and not style.counted
    by = ruling.name + NO_SERVICE if uncounted else ruling.name
    decided = style.decided(by, allow=not denies and not uncounted)
    return [*entries, trees.entry(trees.every(wanted) or style.always, decided)]


def _called(callee: Callee) -> list[Predicate]:
    wanted = []
    if callee.ports:
        each = (Text(Comparison.EXACT, str(port)) for port in callee.ports)
        wanted.append(trees.some(trees.header(naming.PORT_HEADER, one) for one in each))
    if not callee.name and callee.host.startswith("*."):
        below = Text(Comparison.SUFFIX, callee.host[1:].lower())
        wanted.append(trees.state(naming.STATE_HOST, below))
    return wanted


def of(namespace: str, found: OnMatch) -> Matcher:
    """Return the matcher that asks one for callers from a namespace."""
    return trees.by_header(naming.NAMESPACE_HEADER, {namespace: found})


def _plain() -> Matcher:
    missing = trees.negated(trees.state(naming.STATE_RESOURCE, _ANY))
    refused = trees.entry(missing, trees.action(NOT_DECLARED, allow=False))
    return trees.listed((refused,), trees.action(model.NO_POLICY, allow=True))


PLAIN: Matcher = _plain()
"""Decides for callers without a policy."""
