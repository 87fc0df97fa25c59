"""What dies opens nothing, and comes back."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.envoy]

SERVICE = {
    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "externalbin"},
    "spec": {"type": "ExternalName", "externalName": "httpbin.org", "ports": [{"name": "http", "port": 80}]},
}  # fmt: skip
# Tries what is denied and what is allowed, for ever, and writes down what came of it.
LOOP = """
import http.client, sys, time
def ask(host, address):
    connection = http.client.HTTPConnection(address, timeout=1)
    try:
        connection.request("GET", "/status/204", headers={"Host": host})
        return connection.getresponse().status
    except OSError as error:
        return type(error).__name__
    finally:
        connection.close()
while True:
    print("denied", ask("httpbin.org", sys.argv[1]), flush=True)
    print("allowed", ask("externalbin", "externalbin"), flush=True)
    time.sleep(0.01)
"""


def eventually(found: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pid_of_sidecar(mesh: Any, pod: str) -> int:
    found = json.loads((mesh.folder / f"run/pods/default.{pod}/envoy.pid.json").read_text())
    return int(found["pid"])


@pytest.mark.parametrize("own_mesh", ["node", "sidecar"], indirect=True)
def test_a_probe_sees_nothing_open_while_everything_is_killed(own_mesh: Any) -> None:
    mesh = own_mesh
    mesh.apply(json.dumps(SERVICE))
    address = mesh.internet.plan.records()["httpbin.org", "A"][0]
    mesh.outgate("run", "-d", "--name", "probe", "--", sys.executable, "-I", "-c", LOOP, address)

    def lines() -> list[str]:
        return str(mesh.outgate("logs", "probe")).splitlines()

    def works() -> None:
        seen = len(lines())
        eventually(lambda: "allowed 204" in lines()[seen:])

    works()
    for _ in range(2):
        os.kill(mesh.status()["egress"]["pid"], signal.SIGKILL)
        time.sleep(0.3)
        works()
    assert mesh.status()["egress"]["restarts"] == 2
    if mesh.capture == "sidecar":
        os.kill(pid_of_sidecar(mesh, "probe"), signal.SIGKILL)
        time.sleep(0.3)
        works()
    os.kill(mesh.status()["pid"], signal.SIGKILL)
    seen = len(lines())
    time.sleep(0.5)
    # Without a control plane what was programmed goes on.
    assert "allowed 204" in lines()[seen:]
    assert not [each for each in lines()[seen:] if each.startswith("allowed") and "204" not in each]
    mesh.up()
    assert "probe" in mesh.outgate("get", "pods")
    works()
    outcomes = {each for each in lines() if each.startswith("denied")}
    refused = ("403", "ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected")
    assert outcomes <= {f"denied {each}" for each in refused}
    assert "denied 403" in outcomes
    # The control: from outside of the capture the same address answers.
    outside = mesh.run(
        "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{address}/status/204"
    )
    assert outside == "204"


def test_without_a_daemon_down_cleans_up(own_mesh: Any) -> None:
    mesh = own_mesh
    mesh.outgate("run", "-d", "--name", "left", "--", "sleep", "infinity")
    mesh.outgate("run", "-d", "--name", "aside", "--capture", "sidecar", "--", "sleep", "infinity")
    os.kill(mesh.status()["pid"], signal.SIGKILL)
    time.sleep(0.1)
    # The fixture looks for what is left behind.
    assert mesh.outgate("down") == "the local mesh is down\n"
    assert mesh.outgate("down") == "the local mesh was not up\n"
    assert "not up" in mesh.outgate("run", "--", "true", status=1)


def test_a_pod_ends_with_its_first_process(own_mesh: Any) -> None:
    mesh = own_mesh
    mesh.outgate("run", "-d", "--name", "short", "--", "sleep", "infinity")
    views = json.loads(mesh.outgate("get", "pod", "short", "-o", "json"))
    assert views["status"]["phase"] == "Running"
    saved = json.loads(next((mesh.folder / "run/pods").glob("*/pod.json")).read_text())
    os.kill(saved["init"]["pid"], signal.SIGKILL)
    eventually(lambda: not mesh.outgate("get", "pods", "-o", "name"))
    eventually(lambda: not list(Path("/run/netns").glob(f"{mesh.name}.*")))


def test_manifests_edited_on_disk(own_mesh: Any) -> None:
    mesh = own_mesh
    folder = mesh.folder / "state/manifests"
    bad = "kind: Service\napiVersion: v1\nmetadata: {name: Bad}\n"
    (folder / "mine.yaml").write_text(f"{json.dumps(SERVICE)}\n---\n{bad}")
    eventually(lambda: mesh.status()["services"] == 1)
    assert any("metadata.name" in each for each in mesh.status()["problems"])
    (folder / "broken.yaml").write_text("a: [1,\n")
    eventually(lambda: any("broken.yaml" in each for each in mesh.status()["problems"]))
    assert mesh.status()["services"] == 1
    (folder / "mine.yaml").unlink()
    eventually(lambda: mesh.status()["services"] == 0)


def test_run_passes_status_input_and_signals(own_mesh: Any) -> None:
    mesh = own_mesh
    assert mesh.outgate("run", "--", "sh", "-c", "exit 7", status=7) == ""
    assert mesh.outgate("run", "--", "cat", text="through") == "through"
    words = ["outgate", "run", "--", "sh", "-c", "echo started; exec sleep 60"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env=mesh.environment, cwd="/"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143
    eventually(lambda: not mesh.outgate("get", "pods", "-o", "name"))


def test_root_inside_has_nothing_to_undo_the_capture_with(own_mesh: Any) -> None:
    mesh = own_mesh
    attempts = (
        "nft flush ruleset",
        "ip link add d0 type veth",
        "mount -t tmpfs none /mnt",
        "nsenter --net=/proc/1/ns/net true && nsenter -t 1 -m true",
        f"ls {mesh.folder}/run/api.sock",
        f"ls {mesh.folder}/state/manifests",
        "echo x > /proc/sys/net/ipv4/ip_forward",
        "mknod /tmp/outgate-disk b 8 0",
        "ls /run/systemd /run/docker.sock",
    )
    for attempt in attempts:
        output = mesh.outgate(
            "run", "--", "sh", "-c", f"({attempt}) 2>/dev/null && echo it worked", status=None
        )
        assert "it worked" not in output, attempt


def test_the_egress_log_does_not_grow_for_ever(stopped_mesh: Any) -> None:
    mesh = stopped_mesh
    mesh.environment["OUTGATE_EGRESS_LOG_MEGABYTES"] = "1"
    mesh.up()
    with mesh.pod("sleep") as pod:
        mesh.curl(pod, "http://192.0.2.1/before")
        mesh.log(lambda each: each.get("path") == "/before")
        follow = ["outgate", "logs", "--egress", "-f"]
        with subprocess.Popen(
            follow, stdout=subprocess.PIPE, text=True, env=mesh.environment, cwd="/"
        ) as following:
            assert following.stdout is not None
            assert "/before" in following.stdout.readline()
            log = mesh.folder / "log/egress.log"
            with log.open("a") as file:
                file.write("{}\n" * 400_000)
            eventually(log.with_name("egress.log.1").exists, 15)
            mesh.curl(pod, "http://192.0.2.1/after")
            mesh.log(lambda each: each.get("path") == "/after")
            assert any("/after" in line for line in following.stdout)
            following.terminate()
    assert log.stat().st_size < 10_000


KEEP_CALLING = """
import http.client, json, sys, time
connection = http.client.HTTPConnection("externalbin", timeout=3)
connection.connect()
opened = connection.sock.getsockname()
seen, end = [], time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    connection.request("GET", "/status/204")
    answer = connection.getresponse()
    answer.read()
    seen.append(answer.status)
    time.sleep(0.1)
print(json.dumps([sorted(set(seen)), len(seen), opened == connection.sock.getsockname()]))
"""


def test_certificates_are_renewed_without_dropping_connections(stopped_mesh: Any) -> None:
    mesh = stopped_mesh
    mesh.environment |= {"OUTGATE_CAPTURE": "sidecar", "OUTGATE_CERTIFICATE_HOURS": "0.001"}
    mesh.up()
    mesh.apply(json.dumps(SERVICE))
    with mesh.pod("sleep") as pod:
        admin = mesh.folder / f"run/pods/default.{pod}/envoy-admin.sock"

        def serial_number() -> str:
            answer = mesh.run("curl", "-s", "--unix-socket", str(admin), "http://localhost/certs")
            return str(json.loads(answer)["certificates"][0]["cert_chain"][0]["serial_number"])

        first = serial_number()
        # Longer than a certificate lives: 3.6 s.
        statuses, count, same = mesh.python(pod, KEEP_CALLING, "6")
        assert (statuses, same) == ([204], True)
        assert count > 20
        assert serial_number() != first
        assert mesh.curl(pod, "http://externalbin/status/204").startswith("204")
