"""How calls to hosts find where they lead: by name, TLS's server name, wildcard and address, and for whom."""

import concurrent.futures
import ipaddress
import json
import time
from typing import Any

import pytest
from tests.e2e.mesh.conftest import Mesh
from tests.e2e.mesh.saying import external, policy
from tests.e2e.mesh.spaces import Space, Spaces
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]


def test_tls_is_passed_through_by_its_server_name(space: Space, outside: Outside) -> None:
    outside.open("web")
    ca = space.authority()
    space.apply(external("echo.test", ports=["TLS:443"]))
    said = space.call("https://echo.test/x", "--cacert", ca)
    assert (said.status, said.json()["scheme"]) == (200, "https")
    line = space.line(server_name="echo.test")
    assert (line["decision"], line["service"]) == ("allowed", f"echo.test.{space.namespace}")
    assert line["resource"] == "externalservice/echo-test"
    # The address is not what counts, and the name is.
    there = ("--connect-to", "ws.test:443:echo.test:443", "--cacert", ca)
    assert space.call("https://ws.test/", *there).status == 0
    assert "protocol TLS" in space.line(decision="denied", server_name="ws.test")["reason"]
    space.call("https://echo.test/", "--connect-to", "echo.test:443:192.0.2.77:443", "--cacert", ca)


def test_tls_without_a_server_name_is_denied_with_what_to_do(
    mesh: Mesh, space: Space, outside: Outside
) -> None:
    outside.open("web")
    space.apply(external("echo.test", ports=["TLS:443"]))
    address = json.loads(space.exec(mesh.python_program, "-c", ADDRESS, "echo.test"))
    assert space.call(f"https://{address}/", "-k").status == 0
    assert "SNI" in space.line(decision="denied", protocol="tls")["reason"]


ADDRESS = """
import json, socket, sys
print(json.dumps(socket.getaddrinfo(sys.argv[1], 1, socket.AF_INET)[0][4][0]))
"""


def test_http_and_tls_are_side_by_side_and_beside_plain_tcp(space: Space, outside: Outside) -> None:
    outside.open("web")
    ca = space.authority()
    for ports in (["HTTP:80", "TLS:443"], ["HTTP:80", "TLS:443", "TCP:7779"]):
        space.apply(external("echo.test", ports=ports))
        assert space.call("http://echo.test/").json()["scheme"] == "http"
        assert space.call("https://echo.test/", "--cacert", ca).json()["scheme"] == "https"


def test_tls_of_ones_own_to_a_port_that_the_egress_opens_tls_for(
    space: Space, outside: Outside
) -> None:
    outside.open("web")
    space.apply(external("echo.test", ports=["HTTPS:80:443", "HTTPS:443"]))
    assert space.call("http://echo.test/").json()["scheme"] == "https"
    assert space.call("https://echo.test/", "-k").status == 0
    assert "http://NAME:PORT" in space.line(decision="denied", server_name="echo.test")["reason"]


def test_a_server_that_speaks_first_is_not_waited_for_and_two_on_one_port_do_not_meet(
    space: Space, outside: Outside
) -> None:
    outside.open("tls-echo")
    space.apply(
        external("banner.test", ports=["TCP:7000:7778"], name="banner"),
        external("tcp.test", ports=["TCP:7000:7777"], name="echo"),
    )
    began = time.monotonic()
    assert space.tcp("banner.test", 7000, greeting=3)["received"] == ["220"]
    assert time.monotonic() - began < 2
    assert space.tcp("tcp.test", 7000, "hello")["received"] == ["hello"]


class TestNamespaces:
    def test_one_is_seen_in_its_own_namespace_only(self, spaces: Spaces, outside: Outside) -> None:
        outside.open("web")
        own, other = spaces(), spaces()
        ca = own.authority()
        own.apply(external("ws.test", ports=["HTTP:80", "TLS:443"]))
        assert own.call("http://ws.test/").status == 200
        assert own.call("https://ws.test/", "--cacert", ca).status == 200
        assert other.call("http://ws.test/").status == 403
        assert other.call("https://ws.test/", "--cacert", ca).status == 0
        assert other.line(decision="denied", server_name="ws.test")

    def test_export(self, spaces: Spaces, outside: Outside) -> None:
        outside.open("web")
        own, named, other = spaces(), spaces(), spaces()
        ca = own.authority()
        exported = [".", named.namespace]
        own.apply(external("ws.test", ports=["HTTP:80", "TLS:443"], exportTo=exported))
        for each in (own, named):
            assert each.call("http://ws.test/").status == 200
            assert each.call("https://ws.test/", "--cacert", ca).status == 200
        assert other.call("http://ws.test/").status == 403
        assert other.call("https://ws.test/", "--cacert", ca).status == 0

    def test_each_is_led_by_its_own_and_all_others_by_the_one_for_all(
        self, spaces: Spaces, outside: Outside
    ) -> None:
        """Two declare one host; nobody is led by another namespace where its own declares it."""
        outside.open("many-a", "many-b")
        first, second, third = spaces(), spaces(), spaces()

        def to(host: str, **more: Any) -> str:
            ends = [{"address": host}]
            return external("many.test", ports=["HTTP:80"], endpoints=ends, **more)

        first.apply(to("a.many.test"))
        second.apply(to("b.many.test", exportTo=["*"]))
        assert first.call("http://many.test/").json()["server"] == "many-a"
        for each in (second, third):
            assert each.call("http://many.test/").json()["server"] == "many-b"
        second.apply(to("b.many.test"))
        assert third.call("http://many.test/").status == 403


class TestWildcards:
    def test_tls_goes_on_to_the_name_that_it_asks_for(self, space: Space, outside: Outside) -> None:
        outside.open("wild")
        ca = space.authority()
        space.apply(external("*.wild.test", ports=["TLS:443"]))
        said = space.call("https://one.wild.test/", "--cacert", ca)
        assert (said.status, said.json()["sni"]) == (200, "one.wild.test")
        line = space.line(server_name="one.wild.test")
        assert line["service"] == f"*.wild.test.{space.namespace}"
        for evil in ("wild.test.evil.test", "echo.test", "evilwild.test"):
            there = ("--connect-to", f"{evil}:443:one.wild.test:443", "-k")
            assert space.call(f"https://{evil}/", *there).status == 0
            assert "below it" in space.line(decision="denied", server_name=evil)["reason"]

    def test_http_goes_on_to_its_host(self, space: Space, outside: Outside) -> None:
        outside.open("wild")
        space.apply(external("*.wild.test", ports=["HTTP:80"]))
        said = space.call("http://one.wild.test/")
        assert (said.status, said.json()["scheme"]) == (200, "http")
        assert said.seen["host"] == ["one.wild.test"]

    def test_tls_is_opened_to_the_host_and_verified_for_it(
        self, space: Space, outside: Outside
    ) -> None:
        outside.open("wild")
        space.apply(external("*.wild.test", ports=["HTTPS:80:443"]))
        for name in ("one.wild.test", "two.wild.test"):
            said = space.call(f"http://{name}/")
            assert (said.status, said.json()["sni"]) == (200, name)
        assert space.call("http://odd.wild.test/").status == 503
        line = space.line(destination="odd.wild.test")
        assert "CERTIFICATE_VERIFY_FAILED" in line["upstream_failure"]

    @pytest.mark.parametrize(
        "host",
        [
            "echo.test",
            "wild.test",
            "one.wild.test.evil.test",
            "evilwild.test",
            "192.0.2.1",
            "[::1]",
            "one.wild.test:8080",
            "echo.test:80.wild.test",
            "echo.test/.wild.test",
            "echo.test%00.wild.test",
            "-.wild.test",
        ],
    )
    def test_no_other_host_is_reached(self, space: Space, outside: Outside, host: str) -> None:
        outside.open("wild", "web")
        space.apply(external("*.wild.test", ports=["HTTP:80"]))
        before = len(outside.internet.canary(0))
        said = space.call("http://one.wild.test/", "-H", f"Host: {host}")
        assert said.status in (400, 403)
        assert not outside.seen(before, "request", "web")
        assert not outside.seen(before, "request", "wild")

    def test_one_is_for_its_own_namespace(self, spaces: Spaces, outside: Outside) -> None:
        outside.open("wild")
        own, other = spaces(), spaces()
        own.apply(external("*.wild.test", ports=["HTTP:80"]))
        assert own.call("http://one.wild.test/").status == 200
        assert other.call("http://one.wild.test/").status == 0
        assert other.line(decision="denied", protocol="tcp")
        # Who declares one of its names has that, and takes it from nobody.
        other.apply(external("one.wild.test", ports=["HTTP:80"]))
        assert own.call("http://one.wild.test/").status == 200
        assert other.call("http://one.wild.test/").status == 200
        assert other.call("http://two.wild.test/").status == 0


LASTING = """
import json, socket, sys, time
said = []
with socket.create_connection((sys.argv[1], 7777), 5) as connection:
    for each in ("one", "two"):
        connection.sendall(each.encode())
        said.append(connection.recv(10).decode())
        time.sleep(5 if each == "one" else 0)
print(json.dumps(said))
"""


class TestAddresses:
    """The servers of echo.test, by their address."""

    def test_http_tls_and_tcp_go_to_that_very_address(
        self, mesh: Mesh, space: Space, outside: Outside
    ) -> None:
        outside.open("web")
        for kind in ("A", "AAAA"):
            address = outside.internet.plan.records()["tcp.test", kind][0]
            there = f"[{address}]" if ":" in address else address
            prefix = 112 if ":" in address else 28
            network = str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))
            ports = ["HTTP:80", "TLS:443", "TCP:7777", "HTTP:8080:80"]
            space.apply(external("far.test", addresses=[network], ports=ports))
            said = space.call(f"http://{there}/")
            assert (said.status, said.seen["host"]) == (200, [there])
            assert space.call(f"http://{there}:8080/").status == 200
            assert space.call(f"https://{there}/", "-k").json()["scheme"] == "https"
            assert space.tcp(address, 7777, "hello")["received"] == ["hello"]
            line = mesh.log(lambda line: str(line.get("destination")).endswith(":7777"))
            assert line["resource"] == "externalservice/far-test"
            assert space.call(f"http://{there}:81/").status == 403

    def test_connections_that_are_open_outlive_a_change_of_networks(
        self, space: Space, outside: Outside
    ) -> None:
        outside.open("web")
        ports = ["TCP:7777", "HTTP:80"]
        space.apply(external("tcp.test", addresses=["198.51.100.0/28"], name="own", ports=ports))
        address = outside.internet.plan.records()["tcp.test", "A"][0]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            code = (space.mesh.python_program, "-c", LASTING, "tcp.test")
            lasting = pool.submit(space.exec, *code)
            time.sleep(1.5)
            space.apply(external("far.test", addresses=[f"{address}/32"], ports=["HTTP:80"]))
            assert space.call(f"http://{address}/").status == 200
            assert json.loads(lasting.result()) == ["one", "two"]

    def test_other_addresses_and_callers_are_denied(self, spaces: Spaces, outside: Outside) -> None:
        outside.open("web")
        address = outside.internet.plan.records()["tcp.test", "A"][0]
        other = outside.internet.plan.records()["banner.test", "A"][0]
        own, stranger = spaces(), spaces()
        own.apply(external("far.test", addresses=[f"{address}/32"], ports=["HTTP:80", "TCP:7777"]))
        assert own.call(f"http://{address}/").status == 200
        assert own.call(f"http://{other}/").status == 403
        assert stranger.call(f"http://{address}/").status == 403
        assert stranger.tcp(address, 7777, "hello")["received"] in ([], [""])
        assert stranger.line(decision="denied", protocol="tcp")["destination"] == f"{address}:7777"

    def test_a_policy_is_not_evaded_by_an_address(self, space: Space, outside: Outside) -> None:
        outside.open("web")
        address = outside.internet.plan.records()["tcp.test", "A"][0]
        ports = ["HTTP:80", "TLS:443", "TCP:7777"]
        space.apply(external("far.test", addresses=[f"{address}/32"], ports=ports))
        assert space.call(f"http://{address}/").status == 200
        space.apply(policy("only", {"to": [{"host": "elsewhere.test"}]}))
        assert space.call(f"http://{address}/").status in (0, 403)
        assert space.call(f"https://{address}/", "-k").status == 0
        assert space.tcp(address, 7777, "hello")["received"] in ([], [""])
        assert space.line(decision="denied", destination=f"{address}:7777")
        space.apply(policy("only", {"action": "Allow"}))
        assert space.call(f"http://{address}/").status == 200
        assert space.tcp(address, 7777, "hello")["received"] == ["hello"]

    def test_a_rule_about_the_resource_holds_for_its_addresses(
        self, space: Space, outside: Outside
    ) -> None:
        outside.open("web")
        address = outside.internet.plan.records()["tcp.test", "A"][0]
        ports = ["HTTP:80", "TLS:443", "TCP:7777"]
        space.apply(external("far.test", addresses=[f"{address}/32"], ports=ports))
        for to in ({"externalService": "far-test"}, {"host": "far.test"}):
            space.apply(policy("only", {}, {"action": "Deny", "to": [to]}))
            assert space.tcp(address, 7777, "hello")["received"] in ([], [""])
            said = space.line(decision="denied", destination=f"{address}:7777")
            assert said["reason"] == "egresspolicy/only/rule-2"
            assert space.call(f"https://{address}/", "-k").status == 0
            assert space.call(f"http://{address}/").status == 403
        space.apply(policy("only", {"to": [{"externalService": "far-test"}]}))
        assert space.tcp(address, 7777, "hello")["received"] == ["hello"]
        assert space.call(f"http://{address}/").status == 200
