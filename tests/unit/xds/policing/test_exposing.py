"""Credentials in the clear are warned of, others are not."""

from typing import Any

import pytest

from outgate.kube.controller import SITE
from outgate.kube.mesh import Mesh
from outgate.model.declarations import Source
from outgate.resources.problems import Severity
from outgate.settings import Settings
from outgate.xds.clusters import Upstream


def resource(kind: str, name: str, **spec: Any) -> tuple[Source, dict[str, Any]]:
    metadata = {"name": name, "namespace": "shop"}
    written = {"apiVersion": "outgate.dev/v1alpha1", "kind": kind, "metadata": metadata}
    return Source(kind, "shop", name), {**written, "spec": spec}


@pytest.mark.parametrize(
    ("to", "warned"),
    [
        ([{"externalService": "api"}], "api.example.com:80"),
        ([{"externalService": "api", "ports": [443]}], ""),
        ([{"host": "*.example.com"}], "api.example.com:80"),
        ([{"host": "other.example.com"}], ""),
        ([{"ports": [80]}], "api.example.com:80"),
    ],
)
def test_where_a_credential_goes(to: Any, warned: str) -> None:
    mesh = Mesh(SITE, Upstream(Settings(), "/ca.crt"))
    rule = {"credential": {"secretRef": {"name": "t", "key": "k"}}, "to": to}
    ports = [
        {"name": "http", "port": 80, "protocol": "HTTP"},
        {"name": "secure", "port": 443, "protocol": "HTTPS", "tls": {}},
    ]
    policy = resource("EgressPolicy", "p", rules=[rule])
    mesh.update(
        [resource("ExternalService", "api", hosts=["api.example.com"], ports=ports), policy]
    )
    found = [each for each in mesh.problems(policy[0]) if each.severity is Severity.WARNING]
    assert [each.path for each in found] == (["spec.rules[0].credential"] if warned else [])
    assert all(f"goes to {warned} in the clear" in each.message for each in found)
