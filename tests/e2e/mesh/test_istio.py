"""Istio's resources with real traffic: what its documents show for calls to the outside, without egress gateways."""

import pytest
import yaml
from tests.e2e.mesh.saying import entry, istio, policy, routes, rule, secret, service
from tests.e2e.mesh.spaces import Space, Spaces
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]

ECHO = "echo.test"


def test_accessing_external_services(space: Space, outside: Outside) -> None:
    """An HTTP host with a timeout, and an HTTPS host that the application speaks TLS with itself."""
    outside.open("web", "wild")
    assert space.call("http://echo.test/").status in (0, 403)
    space.apply(
        entry(ECHO, "80/HTTP"),
        entry("one.wild.test", "443/HTTPS"),
        routes({"timeout": "0.5s", "route": [{"destination": {"host": ECHO}, "weight": 100}]}),
    )
    assert space.call("http://echo.test/x").json()["path"] == "/x"
    assert space.call("http://echo.test/?delay=2").status == 504
    ca = space.authority()
    said = space.call("https://one.wild.test/", "--cacert", ca).json()
    assert (said["scheme"], said["sni"]) == ("https", "one.wild.test")
    assert space.call("https://two.wild.test/", "--cacert", ca).status == 0


def test_egress_tls_origination(space: Space, outside: Outside) -> None:
    """The application speaks plain HTTP, and the egress opens TLS; calls with the application's own TLS pass."""
    outside.open("web", "wild")
    settings = [{"port": {"number": 80}, "tls": {"mode": "SIMPLE"}}]
    space.apply(
        entry(ECHO, "80/HTTP/443", "443/HTTPS"),
        rule(ECHO, {"portLevelSettings": settings}),
        entry("odd.wild.test", "80/HTTP/443"),
        rule("odd.wild.test", {"tls": {"mode": "SIMPLE"}}, "odd"),
    )
    said = space.call("http://echo.test/x").json()
    assert (said["scheme"], said["sni"], said["host"]) == ("https", ECHO, ECHO)
    assert space.call("https://echo.test/", "--cacert", space.authority()).json()["sni"] == ECHO
    # Its certificate is for another name.
    assert space.call("http://odd.wild.test/").status == 503


def test_egress_mutual_tls_origination(space: Space, outside: Outside) -> None:
    outside.open("mtls")
    pair = outside.client_certificate("istio-client")
    credential = secret(
        "client-credential",
        tls_crt=pair.certificate.read_text(),
        tls_key=pair.key.read_text(),
        ca_crt=outside.ca,
    )
    tls = {"mode": "MUTUAL", "credentialName": "client-credential", "sni": "mtls.test"}
    space.apply(
        credential,
        entry("mtls.test", "80/HTTP/443"),
        rule("mtls.test", {"portLevelSettings": [{"port": {"number": 80}, "tls": tls}]}),
    )
    assert "istio-client" in space.call("http://mtls.test/").json()["subject"]


def test_egress_using_wildcard_hosts(space: Space, outside: Outside) -> None:
    outside.open("web", "wild")
    space.apply(entry("*.wild.test", "443/HTTPS", "80/HTTP", resolution="NONE"))
    ca = space.authority()
    for name in ("en.wild.test", "de.wild.test"):
        assert space.call(f"https://{name}/", "--cacert", ca).json()["sni"] == name
        assert space.call(f"http://{name}/").json()["host"] == name
    assert space.call("https://echo.test/", "--cacert", ca).status == 0


def test_a_wildcard_whose_tls_the_egress_opens(space: Space, outside: Outside) -> None:
    outside.open("wild")
    space.apply(
        entry("*.wild.test", "80/HTTP/443", resolution="DYNAMIC_DNS"),
        rule("*.wild.test", {"tls": {"mode": "SIMPLE"}}),
    )
    said = space.call("http://fr.wild.test/").json()
    assert (said["scheme"], said["sni"]) == ("https", "fr.wild.test")
    assert space.call("http://odd.wild.test/").status == 503


def test_static_endpoints(space: Space, outside: Outside) -> None:
    outside.open("many-a")
    address = outside.internet.plan.records()["expired.test", "A"][-1]
    endpoints = [{"address": address, "ports": {"p8080": 80}}]
    space.apply(entry("named.example.com", "8080/HTTP", resolution="STATIC", endpoints=endpoints))
    assert space.call("http://named.example.com:8080/").json()["server"] == "many-a"


def test_export_to(spaces: Spaces, outside: Outside) -> None:
    outside.open("web", "many-a")
    one, other = spaces(), spaces()
    one.apply(
        entry(ECHO, "80/HTTP"),
        entry("a.many.test", "80/HTTP", exportTo=[".", other.namespace]),
    )
    assert one.call("http://echo.test/").status == 200
    assert other.call("http://echo.test/").status in (0, 403)
    assert other.call("http://a.many.test/").status == 200
    # What becomes of one's own calls is one's own to say, and of nobody else's.
    other.apply(routes({"timeout": "0.2s"}, hosts=("a.many.test",)))
    assert other.call("http://a.many.test/?delay=1").status == 504
    assert one.call("http://a.many.test/?delay=1").status == 200


def test_services_of_type_external_name_have_rules_and_tunings(
    space: Space, outside: Outside
) -> None:
    outside.open("web")
    space.apply(
        service("bin", ECHO),
        routes({"timeout": "0.3s"}, hosts=("bin",)),
        rule("bin", {"connectionPool": {"http": {"maxRequestsPerConnection": 1}}}),
    )
    assert space.call("http://bin/").status == 200
    assert space.call("http://bin/?delay=1").status == 504


def test_a_sidecar_that_would_open_everything_is_refused(space: Space) -> None:
    opened = {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}
    said = space.apply(istio("Sidecar", opened), status=1)
    assert "spec.outboundTrafficPolicy.mode: what nobody declares is denied, always" in said
    space.apply(istio("Sidecar", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}))
    assert space.call("http://echo.test/").status in (0, 403)


def test_an_egress_policy_speaks_of_hosts_of_service_entries(
    space: Space, outside: Outside
) -> None:
    outside.open("web", "many-a")
    readers = policy("readers", {"to": [{"host": ECHO}], "http": [{"methods": ["GET"]}]})
    space.apply(entry(ECHO, "80/HTTP"), entry("a.many.test", "80/HTTP"), readers)
    assert space.call("http://echo.test/").status == 200
    assert space.call("http://echo.test/", "-d", "x").status == 403
    assert space.call("http://a.many.test/").status == 403


def test_what_is_converted_does_the_same(space: Space, outside: Outside) -> None:
    outside.open("web")
    text = "\n---\n".join(
        (
            entry(ECHO, "80/HTTP/443"),
            rule(ECHO, {"tls": {"mode": "SIMPLE"}}),
            routes(
                {"match": [{"uri": {"prefix": "/a"}}], "rewrite": {"uri": "/b"}, "timeout": "0.5s"}
            ),
        )
    )
    native = space.mesh.outgate("convert", "-n", space.namespace, "-f", "-", text=text)
    kinds = {each["kind"] for each in yaml.safe_load_all(native)}
    assert kinds == {"ExternalService"}
    space.apply(native)
    said = space.call("http://echo.test/ab").json()
    assert (said["scheme"], said["path"]) == ("https", "/bb")
    assert space.call("http://echo.test/a?delay=1").status == 504
    assert space.call("http://echo.test/c").status == 404
