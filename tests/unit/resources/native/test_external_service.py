from textwrap import dedent, indent

import pytest

from outgate.resources.manifests import read
from outgate.resources.native.external_service import ExternalService, parse_external_service

HEAD = "apiVersion: outgate.dev/v1alpha1\nkind: ExternalService\nmetadata: {name: github}\nspec:\n"
PLAIN = "hosts: [api.github.com]\nports: [{port: 443, protocol: HTTPS}]\n"


def parse(spec: str) -> tuple[ExternalService | None, list[str]]:
    found = read(HEAD + indent(dedent(spec), "  "), "f")
    assert found.problems == ()
    (document,) = found.documents
    service, problems = parse_external_service(document, "default")
    return service, [str(each).partition(": externalservice/github: ")[2] for each in problems]


def problems(spec: str) -> list[str]:
    service, found = parse(spec)
    assert service is None
    return found


def test_an_unknown_field_is_an_error_as_it_could_open_what_was_to_be_closed() -> None:
    assert problems(PLAIN + "exportsTo: [tools]\n") == [
        "spec.exportsTo: is not a field that there is here (did you mean exportTo?)"
    ]


def test_tls_without_a_value_does_not_mean_none() -> None:
    text = "hosts: [a.example.com]\nports: [{port: 80, protocol: HTTP, tls: }]\n"
    assert problems(text) == [
        "spec.ports[0].tls: must be a mapping of fields, not null (write {} for one without fields)"
    ]


def test_null_means_the_default_where_there_is_one_as_an_api_server_has_it() -> None:
    service, found = parse(PLAIN + "exportTo: null\n")
    assert found == []
    assert service is not None
    assert service.export_to == (".",)


def test_every_problem_at_once_with_its_line() -> None:
    text = "hosts: [192.0.2.1, api]\nports:\n- {port: 0, protocol: https}\ntimeouts: {request: 5}\n"
    found = read(HEAD + indent(text, "  "), "f")
    _, wrong = parse_external_service(found.documents[0], "default")
    assert [(each.location.line, each.path) for each in wrong] == [
        (5, "spec.hosts[0]"),
        (5, "spec.hosts[1]"),
        (7, "spec.ports[0].port"),
        (7, "spec.ports[0].protocol"),
        (8, "spec.timeouts.request"),
    ]


def test_hosts_in_lower_case_without_the_final_dot() -> None:
    service, _ = parse(
        "hosts: [API.GitHub.com., '*.Example.com']\nports: [{port: 1, protocol: TLS}]\n"
    )
    assert service is not None
    assert service.hosts == ("api.github.com", "*.example.com")


def test_durations_and_sizes() -> None:
    service, found = parse(
        PLAIN
        + "timeouts: {request: 1m30s, idle: 250ms}\nmaxRequestBody: 1Mi\nconnection: {maxLifetime: 1h}\n"
    )
    assert found == []
    assert service is not None
    assert service.behaviour.timeouts is not None
    assert (service.behaviour.timeouts.request, service.behaviour.timeouts.idle) == (90.0, 0.25)
    assert service.behaviour.max_body == 2**20
    assert service.upstream.pool is not None
    assert service.upstream.pool.lifetime == 3600.0


def test_a_quantity_may_be_a_number() -> None:
    service, _ = parse(PLAIN + "maxRequestBody: 1024\n")
    assert service is not None
    assert service.behaviour.max_body == 1024


def test_unverified_tls_is_loud() -> None:
    service, found = parse(
        "hosts: [a.example.com]\nports: [{port: 1, protocol: TCP, tls: {insecureSkipVerify: true}}]\n"
    )
    assert service is not None
    assert found == [
        "spec.ports[0].tls.insecureSkipVerify: ANY CERTIFICATE IS ACCEPTED: whoever is in between can read and change "
        "these calls, credentials too (remove it, and name the CA with ca)"
    ]


def test_where_fields_belong_together() -> None:
    wild = "hosts: ['*.example.com']\n"
    cases = {
        wild + "ports: [{port: 1, protocol: TCP}]": "spec.ports: protocol TCP does not say",
        wild + "ports: [{port: 1, protocol: TLS}]\nresolution: Static": "spec.resolution: Static needs endpoints",
        PLAIN + "resolution: Static": "spec.resolution: Static needs endpoints",
        PLAIN + "resolution: Static\nendpoints: [{address: a.b}]": "spec.endpoints: resolution Static takes",
        PLAIN + "rules: [{ports: [80]}]": "spec.rules: a rule has a port that is not",
        PLAIN + "rules: [{redirect: {}, backends: [{host: a.b}]}]": "spec.rules[0]: at most one of",
        PLAIN + "rules: [{backends: [{host: a.b, service: s}]}]": "spec.rules[0].backends[0]: exactly one of",
        PLAIN + "retries: {hedge: true}": "spec.retries.hedge: needs perTryTimeout",
        PLAIN + "loadBalancing: {algorithm: RingHash}": "spec.loadBalancing.algorithm: RingHash needs hashOn",
        PLAIN + "healthCheck: {type: TCP, path: /}": "spec.healthCheck.path: is for type HTTP only",
        "hosts: [a.b]\nports: [{port: 1, protocol: TCP}]\nretries: {}": "spec.retries: is for HTTP, and no port",
        "hosts: [a.b]\nports: [{port: 1, protocol: TLS, tls: {}}]": "spec.ports[0].tls: protocol TLS is passed",
    }  # fmt: skip
    for text, expected in cases.items():
        found, *_ = problems(text + "\n")
        assert found.startswith(expected), found
        assert found.endswith(")"), "says what to write instead"


def test_what_may_not_be_a_host() -> None:
    for host in (
        "127.1",
        "localhost",
        "a.localhost",
        "db.tools.svc",
        "x.svc.cluster.local",
        "*",
        "*.com.*",
        "a_b.c",
    ):
        (found,) = problems(f"hosts: ['{host}']\nports: [{{port: 443, protocol: HTTPS}}]\n")
        assert found.startswith("spec.hosts[0]: "), host


def test_headers_of_the_mesh_cannot_be_set() -> None:
    for name in ("x-outgate-namespace", "Host", "content-length"):
        (found,) = problems(PLAIN + f"requestHeaders: {{set: {{{name}: a}}}}\n")
        assert "cannot be changed" in found


def test_regular_expressions_are_re2() -> None:
    for regex, words in (
        ("(?=a)", "RE2 does not know"),
        ("(", "not a regular expression"),
        (r"(a)\1", "RE2"),
    ):
        (found,) = problems(PLAIN + f"rules: [{{matches: [{{path: {{regex: '{regex}'}}}}]}}]\n")
        assert found.startswith("spec.rules[0].matches[0].path.regex: ")
        assert words in found


@pytest.mark.parametrize("regex", ["/[[a]", r"/\pL+", r"/\p{Greek}", "/(?<name>a)", "/(?P<name>a)"])
def test_what_re2_has_and_python_has_not_or_warns_of(regex: str) -> None:
    service, found = parse(PLAIN + f"rules: [{{matches: [{{path: {{regex: '{regex}'}}}}]}}]\n")
    assert found == []
    assert service is not None
