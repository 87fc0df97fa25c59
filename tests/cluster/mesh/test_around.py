"""Nothing gets round capture: no user id, no kind of packet, no claim, and with enforced policies no lost sidecar."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster import images
from tests.cluster.archive import Image
from tests.cluster.commands import ClusterError
from tests.cluster.internet import ClusterInternet
from tests.cluster.mesh.conftest import SERVICES, Mesh

TOOLS = "localhost/tools:1"
PROXY = "1337"
BECOME = f"setpriv --reuid={PROXY} --regid={PROXY} --clear-groups"
MAP = "outgate"


def pod(name: str, **fields: Any) -> dict[str, Any]:
    """A pod that runs as root, with all that a container runtime gives root by default."""
    container = {
        "name": "app",
        "image": TOOLS,
        "imagePullPolicy": "Never",
        "command": ["sleep", "infinity"],
        **fields,
    }
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


class Shell:
    """A shell in a pod, and what the pod's packets were that got out."""

    def __init__(self, mesh: Mesh, internet: ClusterInternet, namespace: str, name: str) -> None:
        self.mesh, self.internet, self.namespace, self.name = mesh, internet, namespace, name
        path = ("get", "pod", name, "-n", namespace, "-o=jsonpath={.status.podIPs[*].ip}")
        self.own = set(mesh.cluster.kubectl(*path).split())
        self.targets = [internet.plan.records()["canary.test", kind][0] for kind in ("A", "AAAA")]

    def run(self, script: str) -> str:
        text = f"{{ {script}\n}} 2>&1 || true"
        command = ("sh", "-c", text)
        return self.mesh.cluster.exec(
            self.name, *command, namespace=self.namespace, container="app"
        )

    def got_out(self, script: str) -> list[dict[str, Any]]:
        """Run a script, and return the packets that it sent to the outside."""
        before = len(self.internet.canary())
        self.run(script)
        return [each for each in self.internet.canary(before) if each.get("source") in self.own]

    def calls(self, become: str = "") -> str:
        """Return a script that tries TCP and UDP to an address of each family."""
        lines = []
        for each in self.targets:
            host = f"[{each}]" if ":" in each else each
            lines += [
                f"{become} curl -s --max-time 2 http://{host}:9999/",
                f"{become} curl -s --max-time 1 tftp://{host}:9999/data",
            ]
        return "\n".join(lines)


@pytest.fixture(scope="module")
def armed(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    """Outgate, where there is an image with what an attacker brings along."""
    path = tmp_path_factory.mktemp("tools") / "tools.tar"
    names = ("nft", "ip", "ss", "curl", "setpriv")
    Image(TOOLS, images.base() | images.programs(*names)).pack(path)
    mesh.cluster.import_image(path)
    return mesh


@pytest.fixture(scope="module")
def pods(armed: Mesh, internet: ClusterInternet) -> Iterator[dict[str, Shell]]:
    """One pod that is not captured, the control of all tests; others that are."""
    mesh = armed
    user = {"securityContext": {"runAsUser": int(PROXY), "runAsGroup": int(PROXY)}}
    raw = {"securityContext": {"capabilities": {"add": ["NET_RAW"]}}}
    captured = (pod("root"), pod("proxy-user", **user), pod("raw", **raw))
    with mesh.cluster.namespace() as name:
        texts = [mesh.inject(yaml.safe_dump(each)) for each in captured]
        mesh.cluster.apply(SERVICES, yaml.safe_dump(pod("free")), *texts, namespace=name)
        names = ("free", *(each["metadata"]["name"] for each in captured))
        mesh.cluster.wait("Ready", *(f"pod/{each}" for each in names), namespace=name)
        yield {each: Shell(mesh, internet, name, each) for each in names}


def test_becoming_the_sidecars_user_gets_nothing_out(pods: dict[str, Shell]) -> None:
    free = pods["free"]
    found = [each for each in free.got_out(free.calls(BECOME)) if "protocol" in each]
    seen = {(each["protocol"], ":" in each["source"]) for each in found}
    assert seen >= {(kind, six) for kind in ("tcp", "udp") for six in (False, True)}
    for name, become in (("root", BECOME), ("root", ""), ("proxy-user", "")):
        assert pods[name].got_out(pods[name].calls(become)) == []


def test_it_is_refused_at_once(pods: dict[str, Shell]) -> None:
    root = pods["root"]
    for host in (root.targets[0], f"[{root.targets[1]}]"):
        seconds = root.run(
            f"{BECOME} curl -s --max-time 5 -w '%{{time_total}} %{{http_code}}' http://{host}/"
        )
        assert float(seconds.split()[0]) < 0.5
        assert seconds.split()[1] == "000"


def test_it_reaches_what_the_sidecar_reaches(pods: dict[str, Shell]) -> None:
    """The control for the above: the user id does work for what it is for."""
    said = pods["root"].run(f"{BECOME} nslookup kubernetes.default.svc.cluster.local")
    assert "Name:" in said


def test_packets_of_every_other_kind(pods: dict[str, Shell]) -> None:
    free, root = pods["free"], pods["root"]
    four, six = free.targets
    pings = f"ping -c 1 -W 1 {four}; ping -c 1 -W 1 {six}"
    assert {each.get("protocol") for each in free.got_out(pings)} >= {"icmp", "icmpv6"}
    for become in ("", BECOME):
        assert root.got_out(f"{become} ping -c 1 -W 1 {four}; {become} ping -c 1 -W 1 {six}") == []
    # Nor by a socket that no output hook of the kernel sees.
    gateway = "$(ip route show default | cut -d' ' -f3)"
    assert "permitted" in root.run(f"arping -c 1 -w 1 -I eth0 {gateway}")
    assert "permitted" not in free.run(f"arping -c 1 -w 1 -I eth0 {gateway}")


def test_raw_packets_meet_the_rules_as_well(pods: dict[str, Shell]) -> None:
    """A container that asks for NET_RAW keeps it, which is said; what passes the output hook is refused still."""
    four, six = pods["raw"].targets
    assert pods["raw"].got_out(f"ping -c 1 -W 1 {four}; ping -c 1 -W 1 {six}") == []


def test_who_can_get_round_is_said(mesh: Mesh, tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text(yaml.safe_dump(pod("x", securityContext={"privileged": True})))
    said = mesh.shell(f"outgate kube-inject -f {file} >/dev/null", check=False)
    assert "container 'app' is privileged: it can get round capture" in said


@pytest.fixture
def labelled(mesh: Mesh) -> Iterator[str]:
    with mesh.cluster.namespace(**{"outgate.dev/inject": "enabled"}) as name:
        yield name


def test_false_capture_is_refused(armed: Mesh, labelled: str) -> None:
    mesh = armed
    captured: dict[str, Any] = yaml.safe_load(mesh.inject(yaml.safe_dump(pod("claims"))))
    false = json.loads(json.dumps(captured))
    false["spec"]["initContainers"][0] |= {"command": ["true"], "args": []}
    with pytest.raises(ClusterError, match="says that it is captured, but container outgate-init"):
        mesh.cluster.apply(yaml.safe_dump(false), namespace=labelled)
    # One that is true is taken, and runs.
    mesh.cluster.apply(yaml.safe_dump(captured), namespace=labelled)
    mesh.cluster.wait("Ready", "pod/claims", namespace=labelled)


class TestConfigMap:
    """It says what later pods take for the inside."""

    @pytest.fixture
    def owner(self, mesh: Mesh, namespace: str) -> str:
        """Somebody who may do all in the namespace that a namespace's administrator may."""
        bind = ("create", "rolebinding", "owner", "--clusterrole=admin", "--user=eve")
        mesh.cluster.kubectl(*bind, "-n", namespace)
        mesh.cluster.kubectl("wait", "-n", namespace, "--for=create", f"configmap/{MAP}")
        return namespace

    @pytest.mark.parametrize("user", ["--as=eve", "--as-group=system:masters --as=root"])
    def test_nobody_else_changes_it(self, mesh: Mesh, owner: str, user: str) -> None:
        wider = '{"data": {"cluster-ranges": "0.0.0.0/0"}}'
        place = (*user.split(), "-n", owner)
        mesh.cluster.kubectl("create", "configmap", "other", *place)
        with pytest.raises(ClusterError, match="only Outgate's controller writes it"):
            mesh.cluster.kubectl("patch", "configmap", MAP, *place, "--patch", wider)
        assert "0.0.0.0/0" not in mesh.cluster.kubectl("get", "configmap", MAP, *place, "-o=yaml")

    def test_nobody_else_makes_it(self, mesh: Mesh, owner: str) -> None:
        place = ("--as=eve", "-n", owner)
        map_ = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": MAP}}
        text = yaml.safe_dump(map_ | {"data": {"cluster-ranges": "0.0.0.0/0"}})
        uid = ("get", "configmap", MAP, *place, "-o=jsonpath={.metadata.uid}")
        before = mesh.cluster.kubectl(*uid)
        mesh.cluster.kubectl("delete", "configmap", MAP, *place)
        with contextlib.suppress(ClusterError):
            mesh.cluster.kubectl("create", *place, "-f", "-", text=text)
            pytest.fail("it was made by somebody else")
        # The controller does, at once.
        mesh.cluster.kubectl("wait", "-n", owner, "--for=create", f"configmap/{MAP}")
        assert mesh.cluster.kubectl(*uid) != before

    def test_a_namespace_goes_with_it(self, mesh: Mesh) -> None:
        with mesh.cluster.namespace() as name:
            mesh.cluster.kubectl("wait", "-n", name, "--for=create", f"configmap/{MAP}")
        mesh.cluster.kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=50s")


@pytest.fixture(scope="module")
def enforced(armed: Mesh) -> Iterator[Mesh]:
    """Outgate, where a network plugin enforces the policies that it was installed with."""
    with armed.cluster.enforcing():
        yield armed


@pytest.fixture(scope="module")
def lost(enforced: Mesh, internet: ClusterInternet) -> Iterator[dict[str, Shell]]:
    """Pods of a captured namespace, one that is not captured, one that can undo its capture; a free control."""
    mesh = enforced
    opted_out = pod("opted-out")
    opted_out["metadata"]["annotations"] = {"outgate.dev/inject": "false"}
    undoing = pod("undoing", securityContext={"capabilities": {"add": ["NET_ADMIN"]}})
    label = {"outgate.dev/inject": "enabled"}
    with mesh.cluster.namespace(**label) as name, mesh.cluster.namespace() as other:
        texts = [yaml.safe_dump(each) for each in (opted_out, undoing, pod("app"))]
        mesh.cluster.kubectl("wait", "-n", name, "--for=create", "networkpolicy/outgate")
        mesh.cluster.apply(SERVICES, *texts, namespace=name)
        by_hand = mesh.inject(yaml.safe_dump(undoing))
        mesh.cluster.apply(yaml.safe_dump(pod("free")), by_hand, namespace=other)
        names = ("opted-out", "undoing", "app")
        # The plugin takes up to half a minute until it lets a new pod's packets through.
        every = [f"pod/{each}" for each in names]
        mesh.cluster.wait("Ready", *every, namespace=name, seconds=100)
        mesh.cluster.wait("Ready", "pod/free", "pod/undoing", namespace=other, seconds=100)
        found = {each: Shell(mesh, internet, name, each) for each in names}
        for each, key in (("free", "free"), ("undoing", "by-hand")):
            found[key] = Shell(mesh, internet, other, each)
        yield found


class TestEnforcedPolicies:
    """Where a network plugin enforces policies, a captured pod gets out by the egress or not at all."""

    def test_declared_calls_and_those_inside_go_on(self, lost: dict[str, Shell]) -> None:
        app = lost["app"]
        retry = "--retry 20 --retry-delay 1 --retry-all-errors -f --max-time 10"
        said = app.run(f"curl -sS {retry} http://externalbin/headers")
        assert json.loads(said)["headers"]["Host"] == "httpbin.org"
        assert "google" in app.run("curl -sS --max-time 5 http://securegoogle:443").lower()
        assert "403" in app.run(f"curl -sS --max-time 5 -i http://{app.targets[0]}/")
        said = app.run("curl -sk --max-time 5 https://kubernetes.default.svc/version")
        assert "gitVersion" in said or "Unauthorized" in said or "Forbidden" in said

    def test_nothing_gets_out_without_a_sidecar(self, lost: dict[str, Shell]) -> None:
        for name in ("undoing", "by-hand"):
            assert "captured" in lost[name].run("nft list ruleset")
            lost[name].run("nft flush ruleset")
            assert "captured" not in lost[name].run("nft list ruleset")
        free = lost["free"]
        assert free.got_out(free.calls())
        for name in ("undoing", "by-hand", "opted-out"):
            assert lost[name].got_out(lost[name].calls()) == []
            pings = [f"ping -c 1 -W 1 {each}" for each in lost[name].targets]
            assert lost[name].got_out("\n".join(pings)) == []

    def test_the_egress_reaches_nothing_private(self, lost: dict[str, Shell]) -> None:
        """A declared name may lead anywhere: here to the address of the test's own machine."""
        mesh, place = lost["app"].mesh, lost["app"].mesh.cluster.node.place
        inside = str(place.link_nets[0][1])
        service = SERVICES.split("---")[0].replace("externalbin", "inward")
        service = service.replace("httpbin.org", "inward.test")
        internet = lost["app"].internet
        internet.set_record("inward.test", "A", [inside])
        with _server(inside) as port:
            text = service.replace("port: 80", f"port: {port}")
            mesh.cluster.apply(text, namespace=lost["app"].namespace)
            # The control: the server is there, for whom no policy holds.
            assert "hello" in lost["free"].run(
                f"curl -sS --max-time 3 http://{inside}:{port}/hello"
            )
            said = lost["app"].run(f"curl -sS -i --max-time 10 http://inward:{port}/hello")
            assert "503" in said
            assert "hello" not in said

    def test_a_policy_that_is_changed_is_written_again(
        self, mesh: Mesh, lost: dict[str, Shell]
    ) -> None:
        namespace = lost["app"].namespace
        wider = '{"spec": {"egress": [{}]}}'
        patch = ("patch", "networkpolicy", "outgate", "-n", namespace, "--type=merge", "-p", wider)
        mesh.cluster.kubectl(*patch)
        path = ("get", "networkpolicy", "outgate", "-n", namespace, "-o=jsonpath={.spec.egress[0]}")
        wait = ("wait", "-n", namespace, "--for=jsonpath={.spec.egress[0].ports[0].port}=53")
        mesh.cluster.kubectl(*wait, "networkpolicy/outgate", "--timeout=20s")
        assert "ports" in mesh.cluster.kubectl(*path)
        assert lost["opted-out"].got_out(lost["opted-out"].calls()) == []


@contextlib.contextmanager
def _server(address: str) -> Iterator[int]:
    """A web server of the machine's own, at a port that the system chooses."""
    code = (
        "import http.server, sys\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(b'hello')\n"
        f"s = http.server.HTTPServer(({address!r}, 0), H)\n"
        "print(s.server_port, flush=True); s.serve_forever()\n"
    )
    with subprocess.Popen(
        ["python3", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()
