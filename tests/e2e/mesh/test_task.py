"""The task, as a user types it: register, call, see, delete."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from tests.e2e.mesh.saying import service

pytestmark = [pytest.mark.root, pytest.mark.envoy]


BIN = service("externalbin", "httpbin.org", http=80)
GOOGLE = service("securegoogle", "www.google.com", https=443)
# Keeps one raw and one HTTP connection open, and says how they end.
HOLD = """
import http.client, json, socket, time
raw = socket.create_connection(("echo", 7777), 5)
raw.sendall(b"x")
assert raw.recv(1) == b"x"
kept = http.client.HTTPConnection("doomed", timeout=5)
def ask():
    kept.request("GET", "/status/204")
    answer = kept.getresponse()
    answer.read()
    return answer.status
assert ask() == 204
print("open", flush=True)
deadline = time.monotonic() + 10
while (status := ask()) == 204 and time.monotonic() < deadline:
    time.sleep(0.02)
raw.settimeout(5)
try:
    ended = raw.recv(1) == b""
except TimeoutError:
    ended = False
except OSError:
    ended = True
print(json.dumps([status, ended]))
"""


@pytest.fixture(autouse=True, scope="module")
def registered(mesh: Any) -> None:
    said = mesh.outgate("create", "-f", "-", text=f"{BIN}\n---\n{GOOGLE}")
    assert said.splitlines() == ["service/externalbin created", "service/securegoogle created"]


def test_applying_it_again_changes_nothing(mesh: Any) -> None:
    assert mesh.apply(BIN) == "service/externalbin unchanged\n"
    assert "already exists" in mesh.outgate("create", "-f", "-", text=BIN, status=1)


def test_the_source_pod_is_found(mesh: Any, sleep: str) -> None:
    output = mesh.outgate("get", "pod", "-l", "app=sleep", "-o", "jsonpath={.items..metadata.name}")
    assert output == sleep


def test_http(mesh: Any, sleep: str) -> None:
    code, body = mesh.curl(sleep, "http://externalbin/headers").split(" ", 1)
    assert code == "200"
    # Nothing of ours, nor of Envoy, leaves with the request; the Host is the external name.
    assert set(json.loads(body)["headers"]) == {"Accept", "Host", "User-Agent"}
    assert json.loads(body)["headers"]["Host"] == "httpbin.org"


def test_headers_that_steer_proxies_do_not_pass(mesh: Any, sleep: str) -> None:
    sent = ("x-outgate-scope: a.b.", "x-outgate-port: 1", "x-envoy-original-path: /x", "X-Mine: 1")
    words = [word for each in sent for word in ("-H", each)]
    _, body = mesh.curl(sleep, "http://externalbin/headers", *words).split(" ", 1)
    assert set(json.loads(body)["headers"]) == {"Accept", "Host", "User-Agent", "X-Mine"}


def test_https_is_originated_and_verified(mesh: Any, sleep: str) -> None:
    answer = mesh.curl(sleep, "http://securegoogle:443")
    assert answer.startswith("200 ")
    assert "host: www.google.com" in answer
    assert "sni: www.google.com" in answer


@pytest.mark.parametrize(
    "name",
    [
        "externalbin.default",
        "externalbin.default.svc",
        "externalbin.default.svc.cluster.local",
        "externalbin:80",
        "externalbin.default:80",
    ],
)
def test_every_form_of_the_name(mesh: Any, sleep: str, name: str) -> None:
    assert mesh.curl(sleep, f"http://{name}/status/204").startswith("204")


def test_a_short_name_belongs_to_the_callers_namespace(mesh: Any) -> None:
    with mesh.pod("elsewhere", "-n", "other") as pod:
        assert "Could not resolve host" in mesh.curl(pod, "http://externalbin/", namespace="other")
        forged = mesh.curl(
            pod, "http://externalbin.default/", "-H", "Host: externalbin", namespace="other"
        )
        assert forged.startswith("403")
        # A header cannot claim a namespace.
        claim = ("-H", "Host: externalbin", "-H", "x-outgate-scope: externalbin.default.")
        assert mesh.curl(pod, "http://externalbin.default/", *claim, namespace="other").startswith(
            "403"
        )
        assert mesh.curl(
            pod, "http://externalbin.default/status/204", namespace="other"
        ).startswith("204")
        two = service("externalbin", "two.test", http=80)
        mesh.outgate("apply", "-n", "other", "-f", "-", text=two)
        answer = mesh.curl(pod, "http://externalbin/headers", namespace="other")
        assert '"Host": "two.test"' in answer
        mesh.outgate("delete", "service", "externalbin", "-n", "other")


def test_only_the_name_is_declared(mesh: Any, sleep: str) -> None:
    assert "Could not resolve host" in mesh.curl(sleep, "http://httpbin.org/headers")
    assert mesh.curl(sleep, "http://externalbin/", "-H", "Host: httpbin.org").startswith("403")
    assert mesh.curl(sleep, "http://externalbin/", "-H", "Host: externalbin.evil.test").startswith(
        "403"
    )
    assert mesh.curl(sleep, "http://externalbin:8080/").startswith("403")
    assert mesh.curl(sleep, "http://externalbin/", "-H", "Host: externalbin:8080").startswith("403")


def test_a_call_is_logged(mesh: Any, sleep: str) -> None:
    mesh.curl(sleep, "http://externalbin/range/77?secret=1")
    line = mesh.log(lambda each: each.get("path") == "/range/77")
    assert line["decision"] == "allowed"
    assert (line["pod"], line["namespace"], line["status"]) == (sleep, "default", 200)
    assert line["identity"] == "spiffe://cluster.local/ns/default/sa/default"
    assert line["service"] == "externalbin.default"
    assert line["bytes_sent"] == 77
    assert line["upstream"].endswith(":80")
    assert line["duration_ms"] >= 0
    assert "secret" not in json.dumps(line)


def test_explain(mesh: Any, sleep: str) -> None:
    allowed = json.loads(mesh.outgate("explain", sleep, "http://externalbin/x", "-o", "json"))
    assert (allowed["decision"], allowed["cluster"]) == ("allowed", "http|externalbin.default|80")
    denied = json.loads(mesh.outgate("explain", sleep, "http://externalbin:81/", "-o", "json"))
    assert denied["decision"] == "denied"
    assert "declares no port 81" in denied["reason"]


def test_each_port_goes_to_its_own_upstream(mesh: Any, sleep: str) -> None:
    both = json.loads(service("both", "httpbin.org", http=80))
    both["spec"]["ports"].append({"name": "https", "port": 443})
    mesh.apply(json.dumps(both))
    assert '"url": "http://httpbin.org/get"' in mesh.curl(sleep, "http://both/get")
    assert mesh.curl(sleep, "http://both:443/status/204").startswith("204")
    line = mesh.log(lambda each: each.get("service") == "both.default" and each["status"] == 204)
    assert line["upstream"].endswith(":443")


def test_http_beside_plain_tcp_in_one_service(mesh: Any, sleep: str) -> None:
    mixed = json.loads(service("mixed", "www.google.com", http=80))
    mixed["spec"]["ports"] = [{"name": "http", "port": 80}, {"name": "tls", "port": 443}]
    mixed["spec"]["externalName"] = "httpbin.org"
    mesh.apply(json.dumps(mixed))
    assert mesh.curl(sleep, "http://mixed/status/204").startswith("204")
    # The application's own TLS passes through a plain TCP port, and is verified from end to end.
    ca = mesh.internet.ca_file.read_text()
    script = f"cat > /tmp/$$.pem <<END\n{ca}END\n" + (
        "curl -sS -m 5 --cacert /tmp/$$.pem --connect-to httpbin.org:443:mixed:443"
        " -w '%{http_code}' https://httpbin.org/status/204; rm -f /tmp/$$.pem"
    )
    assert mesh.exec(sleep, "sh", "-c", script) == "204"
    line = mesh.log(
        lambda each: each["protocol"] == "tcp" and each.get("service") == "mixed.default"
    )
    assert line["upstream"].endswith(":443")


@pytest.mark.parametrize("ports", [["http"], ["http", "tcp"]])
def test_what_is_not_http_on_an_http_port(mesh: Any, sleep: str, ports: list[str]) -> None:
    numbered = [{"name": each, "port": 80 + index} for index, each in enumerate(ports)]
    name = "-and-".join(ports)
    declared = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"type": "ExternalName", "externalName": "httpbin.org", "ports": numbered},
    }  # fmt: skip
    mesh.apply(json.dumps(declared))
    code = """
import json, socket, sys
try:
    with socket.create_connection((sys.argv[1], 80), 5) as connection:
        connection.send(b"\\0\\1\\2\\3 not HTTP")
        said = connection.recv(1000).decode()
except ConnectionResetError:
    said = ""
print(json.dumps(said))
"""
    assert "200" not in mesh.python(sleep, code, name)
    line = mesh.log(lambda each: "this is neither" in each["reason"])
    assert (line["decision"], line["pod"]) == ("denied", sleep)
    mesh.outgate("delete", "service", name)


def test_plain_tcp_where_the_server_speaks_first(mesh: Any, sleep: str) -> None:
    mesh.apply(service("banner", "banner.test", tcp=7778))
    code = """
import json, socket, time
began = time.monotonic()
with socket.create_connection(("banner", 7778), 5) as connection:
    first = connection.recv(100).decode()
print(json.dumps([first, time.monotonic() - began]))
"""
    first, seconds = mesh.python(sleep, code)
    assert first
    assert seconds < 2


def test_deleting_ends_access_at_once(mesh: Any, sleep: str) -> None:
    mesh.apply(service("echo", "tcp.test", tcp=7777), service("doomed", "httpbin.org", http=80))
    words = ["outgate", "exec", sleep, "--", sys.executable, "-I", "-c", HOLD]
    environment = mesh.environment
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env=environment, cwd="/"
    ) as probe:
        assert probe.stdout is not None
        assert probe.stdout.readline() == "open\n"
        said = mesh.outgate("delete", "service", "doomed", "echo")
        assert said.splitlines() == ['service "doomed" deleted', 'service "echo" deleted']
        assert json.loads(probe.stdout.readline()) == [403, True]
    assert mesh.curl(sleep, "http://externalbin/status/204").startswith("204")


LOOKUPS = """
import json, socket, sys, time
slowest = 0
for _ in range(int(sys.argv[1])):
    began = time.monotonic()
    try:
        socket.getaddrinfo("no-such-service", 80)
    except OSError:
        pass
    slowest = max(slowest, time.monotonic() - began)
print(json.dumps(slowest))
"""


def test_lookups_without_a_pause_are_answered_at_once(mesh: Any, sleep: str) -> None:
    assert mesh.python(sleep, LOOKUPS, "1000") < 0.9


def test_a_terminal(mesh: Any, sleep: str) -> None:
    ours, theirs = os.openpty()
    script = "test -t 0 && echo ready && read x && echo got $x"
    words = ["outgate", "exec", "-it", sleep, "--", "sh", "-c", script]
    process = subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, env=mesh.environment, cwd="/"
    )
    os.close(theirs)
    try:
        # What is typed before the terminal is in raw mode is lost, as with ssh.
        assert b"ready" in os.read(ours, 1000)
        os.write(ours, b"it\n")
        assert process.wait(10) == 0
        assert b"got it" in os.read(ours, 1000)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
