from textwrap import dedent, indent

import pytest

from outgate.resources.manifests import read
from outgate.resources.problems import Location, Severity
from outgate.resources.services import (
    ObjectMeta,
    Service,
    ServicePort,
    ServiceType,
    parse_service,
)


def parse(text: str) -> tuple[Service | None, list[str]]:
    found = read(dedent(text), "f.yaml")
    assert found.problems == ()
    (document,) = found.documents
    service, problems = parse_service(document, "default")
    assert (service is None) == any(wrong.severity is Severity.ERROR for wrong in problems)
    return service, [str(wrong) for wrong in problems]


def valid(text: str) -> Service:
    service, problems = parse(text)
    assert problems == []
    assert service is not None
    return service


def with_spec(spec: str) -> str:
    return "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n" + indent(
        dedent(spec), "  "
    )


def problems_of(spec: str) -> list[str]:
    """Problems of a Service with `spec`, without the part that is the same in all."""
    _, problems = parse(with_spec(spec))
    return [wrong.replace("service/s: spec.", "") for wrong in problems]


EXTERNAL = "type: ExternalName\nexternalName: httpbin.org\n"


class TestValid:
    def test_the_task(self) -> None:
        service = valid(
            """\
            apiVersion: v1
            kind: Service
            metadata: {name: externalbin}
            spec:
              type: ExternalName
              externalName: httpbin.org
              ports: [{port: 80, name: http}]
            """
        )
        assert service == Service(
            metadata=ObjectMeta("default", "externalbin", {}, {}),
            type=ServiceType.EXTERNAL_NAME,
            external_name="httpbin.org",
            selector={},
            ports=(ServicePort("http", 80, "TCP", "", 80, 0),),
            cluster_ip="",
            location=Location("f.yaml", 1),
        )

    def test_as_an_api_server_writes_it(self) -> None:
        service = valid(
            """\
            apiVersion: v1
            kind: Service
            metadata:
              annotations:
                Example.com/note: "anything\\n"
              creationTimestamp: 2026-11-23T07:05:00Z
              labels: {app.kubernetes.io/name: web, empty: ""}
              name: web
              namespace: prod
              resourceVersion: "42"
              uid: 6f1c
            spec:
              clusterIP: 10.0.0.7
              clusterIPs: [10.0.0.7]
              internalTrafficPolicy: Cluster
              ipFamilies: [IPv4]
              ipFamilyPolicy: SingleStack
              ports:
              - {name: http-web, port: 80, protocol: TCP, targetPort: web, nodePort: 30080}
              - {name: dns, port: 53, protocol: UDP, targetPort: 5353, appProtocol: example.com/d}
              - {name: dns-tcp, port: 53}
              selector: {app: web}
              sessionAffinity: None
              type: NodePort
            status:
              loadBalancer: {}
            """
        )
        assert service.metadata == ObjectMeta(
            "prod",
            "web",
            {"app.kubernetes.io/name": "web", "empty": ""},
            {"Example.com/note": "anything\n"},
            "6f1c",
            "2026-11-23T07:05:00Z",
            "42",
        )
        assert service.type == "NodePort"
        assert service.cluster_ip == "10.0.0.7"
        assert service.selector == {"app": "web"}
        assert service.ports == (
            ServicePort("http-web", 80, "TCP", "", "web", 0),
            ServicePort("dns", 53, "UDP", "example.com/d", 5353, 1),
            ServicePort("dns-tcp", 53, "TCP", "", 53, 2),
        )
        assert service.ports[2].path == "spec.ports[2]"

    def test_null_and_empty_fields_are_left_out(self) -> None:
        service = valid(
            """\
            apiVersion: v1
            kind: Service
            metadata:
              {name: s, namespace: "", labels: null, creationTimestamp: null, annotations: }
            spec:
              {type: "", selector: {}, externalName: "", clusterIP: None, ports: }
            """
        )
        assert service.metadata == ObjectMeta("default", "s", {}, {})
        assert (service.type, service.cluster_ip) == ("ClusterIP", "None")

    def test_the_final_dot_of_an_external_name_is_not_kept(self) -> None:
        service = valid(with_spec("{type: ExternalName, externalName: a.b., ports: [{port: 1}]}"))
        assert service.external_name == "a.b"

    def test_zero_as_target_port_means_the_port(self) -> None:
        service = valid(with_spec("{ports: [{port: 80, targetPort: 0, nodePort: 0}]}"))
        assert service.ports[0].target_port == 80


def test_every_problem_is_reported_at_once() -> None:
    service, problems = parse(
        """\
        apiVersion: v1
        kind: Service
        metadata:
          name: External_Bin
          namespace: Prod
          labels:
            on_: yes
            -a: b
        spec:
          type: Externalname
          externalName: https://httpbin.org/
          selector: {app: "a b"}
          clusterIP: 10.0.0
          ports:
          - port: "80"
            name: http
          - port: 65536
            name: http
            targetPort: 8.5
            protocol: tcp
          - targetPort: much-too-long-a-name
            appProtocol: a/b/c
          - 443
        """
    )
    assert service is None
    rule = "a port is a whole number from 1 to 65535"
    label = 'lower-case letters, digits and "-" are allowed, with a letter'
    qualified = 'letters, digits, "-", "_" and "." are allowed, with a letter or digit at both ends'
    dns = 'labels of lower-case letters, digits and "-" are allowed, joined by ".", '
    assert [wrong.replace("service/External_Bin: ", "") for wrong in problems] == [
        f'f.yaml:4: error: metadata.name: "External_Bin" is not a Service name: {label} first '
        "and a letter or digit last (for example external-bin)",
        f'f.yaml:5: error: metadata.namespace: "Prod" is not a DNS label: {label} or digit at '
        "both ends (for example prod)",
        "f.yaml:7: error: metadata.labels.on_: must be a string, not the boolean true "
        "(write it in quotes)",
        f'f.yaml:8: error: metadata.labels.-a: "-a" is not a qualified name: {qualified} '
        "(for example a)",
        'f.yaml:10: error: spec.type: "Externalname" is not allowed: write ClusterIP, NodePort, '
        "LoadBalancer or ExternalName (did you mean ExternalName?)",
        f'f.yaml:11: error: spec.externalName: "https://httpbin.org/" is not a DNS name: {dns}'
        "each with a letter or digit at both ends (write only the host name: httpbin.org)",
        f'f.yaml:12: error: spec.selector.app: "a b" is not a label value: {qualified} '
        "(for example a-b)",
        'f.yaml:13: error: spec.clusterIP: "10.0.0" is not an IP address '
        "(remove it, or write None for a headless Service)",
        f'f.yaml:15: error: spec.ports[0].port: must be a whole number, not the string "80": {rule} '
        "(remove the quotes)",
        f"f.yaml:17: error: spec.ports[1].port: 65536 is out of range: {rule}",
        'f.yaml:18: error: spec.ports[1].name: "http" is already the name of spec.ports[0] '
        "(give each port its own name)",
        "f.yaml:19: error: spec.ports[1].targetPort: must be a whole number, not the number 8.5: "
        + rule,
        'f.yaml:20: error: spec.ports[1].protocol: "tcp" is not allowed: write TCP, UDP or SCTP '
        "(did you mean TCP?)",
        "f.yaml:21: error: spec.ports[2].name: is required where a Service has several ports",
        f"f.yaml:21: error: spec.ports[2].port: is required: {rule}",
        'f.yaml:21: error: spec.ports[2].targetPort: "much-too-long-a-name" is 20 characters '
        "long, at most 15 are allowed",
        'f.yaml:22: error: spec.ports[2].appProtocol: before the "/", "a/b" is not a DNS name: '
        f"{dns}each with a letter or digit at both ends (for example a-b)",
        "f.yaml:23: error: spec.ports[3]: must be a mapping of fields, not the number 443",
    ]


class TestExternalName:
    @pytest.mark.parametrize(
        ("spec", "problem"),
        [
            (
                "type: ExternalName\nports: [{port: 80}]\n",
                "f.yaml:4: error: externalName: is required for type ExternalName "
                "(the DNS name of the external service, for example httpbin.org)",
            ),
            (
                "type: ExternalName\nexternalName: 10.0.0.1\nports: [{port: 80}]\n",
                'f.yaml:6: error: externalName: "10.0.0.1" is an IP address, not a DNS name '
                "(give the DNS name of the service)",
            ),
            (
                "type: ExternalName\nexternalName: 2130706433\nports: [{port: 80}]\n",
                'f.yaml:6: error: externalName: "2130706433" is an IP address (127.0.0.1), '
                "not a DNS name (give the DNS name of the service)",
            ),
            (
                "type: ExternalName\nexternalName: 127.1\nports: [{port: 80}]\n",
                'f.yaml:6: error: externalName: "127.1" is an IP address (127.0.0.1), '
                "not a DNS name (give the DNS name of the service)",
            ),
            (
                "type: ExternalName\nexternalName: [a]\nports: [{port: 80}]\n",
                "f.yaml:6: error: externalName: must be a string, not a list",
            ),
            (
                "externalName: httpbin.org\nports: [{port: 80}]\n",
                "f.yaml:5: error: externalName: must not be set for type ClusterIP "
                "(write type: ExternalName, or remove it)",
            ),
            (
                EXTERNAL + "ports: [{port: 80}]\nselector: {a: b}\n",
                "f.yaml:8: error: selector: must not be set for type ExternalName: it stands for "
                "nothing in the cluster (remove it, or write type: ClusterIP)",
            ),
            (
                EXTERNAL + "ports: [{port: 80}]\nclusterIP: None\n",
                "f.yaml:8: error: clusterIP: must not be set for type ExternalName (remove it)",
            ),
            (
                EXTERNAL,
                "f.yaml:4: warning: ports: no port is declared, so nothing can be called "
                "(add one, for example {port: 80, name: http})",
            ),
            (
                EXTERNAL + "ports:\n- port: 53\n  protocol: UDP\n",
                "f.yaml:9: warning: ports[0].protocol: UDP is not supported, the port is not "
                "programmed (only TCP can be called)",
            ),
            (
                EXTERNAL + "ports: [{port: 80, targetPort: 443}]\n",
                "f.yaml:7: warning: ports[0].targetPort: has no effect for type ExternalName: calls "
                "go to port 80 outside (write an ExternalService, which has a targetPort)",
            ),
            (
                EXTERNAL + "ports: [{port: 80}]\nexternalname: x\n",
                "f.yaml:8: warning: externalname: unknown field, it has no effect "
                "(did you mean externalName?)",
            ),
            (
                EXTERNAL + "ports: [{port: 80, hostname: x}]\n",
                "f.yaml:7: warning: ports[0].hostname: unknown field, it has no effect",
            ),
        ],
    )
    def test_problems(self, spec: str, problem: str) -> None:
        assert problems_of(spec) == [problem]

    def test_a_warning_does_not_keep_the_service_from_being_used(self) -> None:
        service, problems = parse(with_spec(EXTERNAL))
        assert service is not None
        assert len(problems) == 1


def test_terminal_codes_in_names_are_shown_escaped() -> None:
    text = '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "\\u001b[2J"}, "spec": {}}'
    (document,) = read(text, "f").documents
    _, problems = parse_service(document, "default")
    assert str(problems[0]).startswith(
        'f:1: error: service/\\u001b[2J: metadata.name: "\\u001b[2J" is not a Service name'
    )
