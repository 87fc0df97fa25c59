"""The stand-in for Envoy's image."""

import pytest
from tests.images.conftest import Archive

from outgate.inject.options import Options

pytestmark = [pytest.mark.root, pytest.mark.envoy, pytest.mark.timeout(600)]

BOOTSTRAP = """
static_resources:
  clusters:
  - name: out
    type: STRICT_DNS
    load_assignment:
      cluster_name: out
      endpoints:
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: localhost, port_value: 80}}}}]
    transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
          validation_context: {trusted_ca: {filename: /etc/ssl/certs/ca-certificates.crt}}
"""


def test_it_is_the_image_that_pods_name(envoy: Archive) -> None:
    assert envoy.manifest["RepoTags"] == [Options(hub="localhost").proxy_image]
    assert envoy.config["config"]["User"] == "101:101"


@pytest.mark.parametrize("uid", [101, 1337])
def test_it_runs_with_no_capability_and_a_read_only_root(envoy: Archive, uid: int) -> None:
    assert "/1.40.0/" in envoy.run("envoy", "--version", uid=uid)
    command = ("envoy", "--mode", "validate", "--config-yaml", BOOTSTRAP)
    assert "OK" in envoy.run(*command, uid=uid)


def test_it_knows_the_users(envoy: Archive) -> None:
    users = (envoy.root / "etc/passwd").read_text()
    assert "\nenvoy:x:101:101:" in users
    assert "\nnobody:x:65534:" in users


def test_small(envoy: Archive) -> None:
    size = envoy.path.stat().st_size / 1e6
    print(f"envoy.tar: {size:.0f} MB")  # noqa: T201
    assert size < 150
