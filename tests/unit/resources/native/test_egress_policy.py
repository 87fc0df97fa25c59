from textwrap import dedent, indent

from outgate.resources.manifests import read
from outgate.resources.native.egress_policy import EgressPolicy, parse_egress_policy
from outgate.traffic.permitting import Effect, Mode, Share

HEAD = "apiVersion: outgate.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: readers}\nspec:\n"


def parse(spec: str) -> tuple[EgressPolicy | None, list[str]]:
    found = read(HEAD + indent(dedent(spec), "  "), "f")
    assert found.problems == ()
    policy, problems = parse_egress_policy(found.documents[0], "default")
    return policy, [str(each).partition(": egresspolicy/readers: ")[2] for each in problems]


def test_all_of_it() -> None:
    policy, problems = parse(
        """\
        subject: {podSelector: {matchLabels: {app: sleep}}, serviceAccounts: [builder]}
        mode: Audit
        rules:
        - to:
          - {externalService: github}
          - {service: externalbin, namespace: tools}
          - {host: "*.github.com", ports: [443]}
          http: [{methods: [GET], paths: [{prefix: /repos}], headers: [{name: X-A, exact: b}]}]
          rateLimit: {requests: 10, per: 1m, burst: 20, share: Pod}
          globalRateLimit: {domain: outgate, descriptors: {tier: gold}}
          credential: {prefix: "Bearer ", secretRef: {name: github, key: token}}
        - action: Deny
        """
    )
    assert problems == []
    assert policy is not None
    assert policy.mode is Mode.AUDIT
    assert dict(policy.subject.labels) == {"app": "sleep"}
    allow, deny = policy.rules
    assert deny.action is Effect.DENY
    assert allow.rate_limit is not None
    assert (allow.rate_limit.seconds, allow.rate_limit.share) == (60.0, Share.POD)
    assert allow.credential is not None
    assert allow.credential.header == "authorization"
    assert allow.http[0].headers[0].name == "x-a"


def test_nothing_said_is_a_policy_that_denies_all() -> None:
    policy, problems = parse("{}\n")
    assert problems == []
    assert policy is not None
    assert policy.rules == ()
    assert policy.mode is Mode.ENFORCE


def test_what_is_wrong() -> None:
    rule = "rules: [{"
    cases = {
        "subjects: {}": "spec.subjects: is not a field that there is here (did you mean subject?)",
        rule + "to: [{}]}]": "spec.rules[0].to[0]: says nothing, which would be everything",
        rule + "to: []}]": "spec.rules[0].to: at least 1 is needed",
        rule + "to: }]": "spec.rules[0].to: must be a list, not null",
        rule + "http: [{}]}]": "spec.rules[0].http[0]: says nothing, which would be every request",
        rule + "to: [{host: a.b, service: s}]}]": "spec.rules[0].to[0]: at most one of",
        rule + "to: [{host: a.b, namespace: s}]}]": "spec.rules[0].to[0].namespace: is of use with",
        rule + "action: Deny, rateLimit: {requests: 1}}]": "spec.rules[0].rateLimit: is for action Allow only",
        rule + "rateLimit: {requests: 5, burst: 1}}]": "spec.rules[0].rateLimit.burst: is less than requests",
        rule + "credential: {file: /a}}]": "spec.rules[0].credential: would go to everything",
        rule + "credential: {header: Host, file: /a}}]": "spec.rules[0].credential.header: Host cannot be changed",
        rule + "credential: {header: a}}]": "spec.rules[0].credential: exactly one of secretRef and file",
        rule + "credential: {file: a}}]": 'spec.rules[0].credential.file: "a" is not an absolute path (write /a)',
        rule + "http: [{methods: [get]}]}]": 'spec.rules[0].http[0].methods[0]: "get" is not a method',
        "mode: enforce": 'spec.mode: "enforce" is not allowed: write Enforce or Audit (did you mean Enforce?)',
    }  # fmt: skip
    for text, expected in cases.items():
        policy, (found,) = parse(text + "\n")
        assert policy is None
        assert found.startswith(expected), found
