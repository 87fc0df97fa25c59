from textwrap import dedent, indent

from outgate.model.declarations import Declarations
from outgate.model.destinations import External
from outgate.model.names import Name
from outgate.model.native import egress_policy, external_service
from outgate.resources.kinds import parse
from outgate.resources.manifests import read
from outgate.traffic.permitting import Callee, Credential, Mode
from outgate.traffic.references import Protocol, SecretKey, Target
from outgate.traffic.routing import Edits, Timeouts


def destination(spec: str) -> External:
    found = declared(spec).destinations[0]
    assert isinstance(found, External)
    return found


def declared(spec: str) -> Declarations:
    head = (
        "apiVersion: outgate.dev/v1alpha1\nkind: ExternalService\n"
        "metadata: {name: s, namespace: tools}\nspec:\n  hosts: [a.example.com, '*.example.org']\n"
    )
    found = parse(read(head + indent(dedent(spec), "  "), "f").documents)
    assert found.problems == ()
    (resource,) = found.external_services
    return external_service(resource)


def test_a_destination_for_each_host() -> None:
    found = declared("  ports: [{port: 80, targetPort: 443, protocol: HTTPS}]\n")
    assert [each.name for each in found.destinations] == [
        Name("tools", "a.example.com"),
        Name("tools", "*.example.org"),
    ]
    port = found.destinations[0].ports[0]
    assert (port.number, port.outside, port.protocol) == (80, 443, Protocol.HTTPS)
    assert port.upstream.tls is not None
    assert port.upstream.tls.verify
    assert str(found.source) == "externalservice/s"


def test_secrets_are_of_the_own_namespace() -> None:
    tls = "{clientCertificate: {secretRef: {name: me}}, ca: {secretRef: {name: them}}}"
    found = declared(f"  ports: [{{port: 80, protocol: HTTP, tls: {tls}}}]\n")
    got = found.destinations[0].ports[0].upstream.tls
    assert got is not None
    assert got.certificate == SecretKey("tools", "me", "tls.crt")
    assert got.key == SecretKey("tools", "me", "tls.key")
    assert got.ca == SecretKey("tools", "them", "ca.crt")


def test_visibility() -> None:
    ports = "  ports: [{port: 80, protocol: HTTP}]\n"
    own, some, everybody = (
        destination(ports + text) for text in ("", "  exportTo: [., apps]\n", "  exportTo: ['*']\n")
    )
    assert own.visible == frozenset({"tools"})
    assert some.visible == frozenset({"tools", "apps"})
    assert everybody.visible is None


def test_a_rule_replaces_what_it_says_and_leaves_the_rest() -> None:
    found = destination(
        """\
          ports: [{port: 80, protocol: HTTP}]
          timeouts: {request: 10s}
          requestHeaders: {set: {X-A: b}}
          rules:
          - matches: [{path: {prefix: /v1}}]
            timeouts: {idle: 1s}
            backends: [{host: other.example.com}, {service: bin, port: 80}]
        """
    )
    rule, last = found.rules
    assert rule.timeouts == Timeouts(idle=1.0)
    assert rule.request == last.request == Edits(put=(("x-a", "b"),))
    assert last.timeouts == Timeouts(request=10.0)
    assert last.matches == ()
    assert [each.target for each in rule.backends] == [
        Target("", "other.example.com"),
        Target("tools", "bin", 80),
    ]
    assert rule.source == "externalservice/s"


def test_no_rules_where_nothing_is_said() -> None:
    assert destination("  ports: [{port: 80, protocol: HTTP}]\n").rules == ()


def test_a_policy_speaks_of_its_own_namespace() -> None:
    text = """\
        apiVersion: outgate.dev/v1alpha1
        kind: EgressPolicy
        metadata: {name: p, namespace: apps}
        spec:
          rules:
          - to: [{externalService: github}, {service: bin, namespace: tools}, {host: a.b}, {ports: [80]}]
            credential: {header: X-Token, secretRef: {name: github, key: token}}
        """
    (resource,) = parse(read(dedent(text), "f").documents).egress_policies
    (policy,) = egress_policy(resource).policies
    assert (policy.namespace, policy.name, policy.mode) == ("apps", "p", Mode.ENFORCE)
    (rule,) = policy.rules
    assert rule.callees == (
        Callee("ExternalService", "apps", "github"),
        Callee("Service", "tools", "bin"),
        Callee(host="a.b"),
        Callee(ports=(80,)),
    )
    assert rule.credential == Credential("x-token", SecretKey("apps", "github", "token"))
