"""What Outgate costs in a Kubernetes: pods, calls, the webhook, and many Services at once."""

import http.client
import json
import re
import ssl
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightkube import Client, KubeConfig
from lightkube.resources.core_v1 import Pod

from bench import cluster, load, processes, static
from bench.cluster import HOST, PORT, Own
from bench.commands import BenchError
from bench.datapath import Way, compare

SERVICES = 1_000
ROUNDS, PODS, REVIEWS = 8, 7, 500
_INJECTED, _PLAIN = "injected", "plain"
"""Namespaces: all pods of the one are captured as they are made."""


def measure(folder: Path) -> dict[str, Any]:
    """Return all figures; BenchError, with the reason, where no cluster can be had."""
    with cluster.running(folder) as own:
        for name in (_INJECTED, _PLAIN):
            own.kubectl("create", "namespace", name)
            own.kubectl(
                "wait", "-n", name, "--for=create", "serviceaccount/default", "--timeout=30s"
            )
        own.kubectl("label", "namespace", _INJECTED, "outgate.dev/inject=enabled")
        own.kubectl(
            *("wait", "-n", _INJECTED, "--for=create", "configmap/outgate", "--timeout=30s")
        )
        return {
            "starting": _starting(own),
            "webhook": _webhook(own),
            "data_path": _data_path(own),
            "services": _services(own),
        }


@contextmanager
def _client(own: Own, namespace: str) -> Iterator[Any]:
    with Client(KubeConfig.from_file(own.cluster.kubeconfig), namespace=namespace) as client:
        yield client


def _starting(own: Own) -> dict[str, Any]:
    """Return how long a pod takes from being made to being ready, with capture and without, by turns."""
    seconds: dict[str, list[float]] = {_INJECTED: [], _PLAIN: []}
    memory = 0.0
    for number in range(PODS):
        for namespace, found in seconds.items():
            name = f"start-{number}"
            with _client(own, namespace) as client:
                began = time.monotonic()
                client.create(Pod.from_dict(cluster.pod(name)))
                client.wait(Pod, name, for_conditions=["Ready"])
                found.append(time.monotonic() - began)
                if namespace == _INJECTED:
                    memory = processes.rss_mb([_envoy(f"sidecar~{name}.{namespace}")])
                client.delete(Pod, name, grace_period=0)
    return {
        "plain_s": round(statistics.median(seconds[_PLAIN]), 2),
        "injected_s": round(statistics.median(seconds[_INJECTED]), 2),
        "sidecar_rss_mb": round(memory),
    }


def _envoy(argument: str) -> int:
    return processes.find(argument, "envoy")


def _egress(own: Own) -> int:
    get = ("get", "pod", "-n", cluster.SYSTEM, "-l", "app.kubernetes.io/name=outgate-egress")
    # By its full name: other clusters on this machine have some, too.
    return _envoy(f"egress~{own.kubectl(*get, '-o=jsonpath={.items[0].metadata.name}')}")


def _webhook(own: Own) -> dict[str, Any]:
    """Return how long the webhook takes for a pod, asked by itself, and what the API server takes with and without."""
    asked = _door(own)
    alone = _timed(asked, REVIEWS)
    with ThreadPoolExecutor(4) as pool:
        began = time.monotonic()
        list(pool.map(lambda _: _timed(_door(own), REVIEWS // 4), range(4)))
        rate = 4 * (REVIEWS // 4) / (time.monotonic() - began)
    row = {**_percentiles("webhook", alone), "reviews_per_second": round(rate)}
    for namespace in (_INJECTED, _PLAIN):
        with _client(own, namespace) as client:
            value = Pod.from_dict(cluster.pod("dry"))
            times = _timed(lambda: client.create(value, dry_run=True), REVIEWS)  # noqa: B023
        row |= _percentiles(namespace, times)
    return row


def _door(own: Own) -> Callable[[], None]:
    """Return what asks the webhook once, on a connection that is kept."""
    get = ("get", "pod", "-n", cluster.SYSTEM, "-l", "app.kubernetes.io/name=outgate-controller")
    address = own.kubectl(*get, "-o=jsonpath={.items[0].status.podIP}")
    trusted = own.kubectl(
        "get", "configmap", "outgate", "-n", _PLAIN, "-o=jsonpath={.data.ca\\.pem}"
    )
    context = ssl.create_default_context(cadata=trusted)
    context.check_hostname = False  # It is called by its address.
    connection = http.client.HTTPSConnection(address, 15017, context=context)
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "1", "namespace": _INJECTED, "object": cluster.pod("asked")},
    }
    body = json.dumps(review).encode()

    def ask() -> None:
        connection.request("POST", "/inject", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        if "patch" not in answer["response"]:
            raise BenchError(f"the webhook does not inject: {answer}")

    return ask


def _timed(do: Callable[[], object], count: int) -> list[float]:
    """Return the milliseconds that each of so many times took, after a few to warm up."""
    for _ in range(20):
        do()
    found = []
    for _ in range(count):
        began = time.perf_counter()
        do()
        found.append((time.perf_counter() - began) * 1000)
    return found


def _percentiles(name: str, values: Sequence[float]) -> dict[str, float]:
    found = statistics.quantiles(values, n=100, method="inclusive")
    return {f"{name}_p50_ms": round(found[49], 1), f"{name}_p99_ms": round(found[98], 1)}


def _service(name: str, port: int, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "type": "ExternalName",
            "externalName": HOST,
            "ports": [{"name": "http", "port": port}],
        },
    }


def _data_path(own: Own) -> list[dict[str, Any]]:
    """Return a row for calls straight out, through an Envoy by hand in the pod, and through sidecar and egress."""
    envoy = {
        "name": "envoy",
        "image": f"{cluster.HUB}/envoy:{_version(own)}",
        "imagePullPolicy": "Never",
        "command": ["envoy"],
        "args": ["--config-yaml", json.dumps(static.one(own.origin, PORT, HOST)), "--service-node", "ogb~static"],
    }  # fmt: skip
    own.apply(cluster.pod("straight"), cluster.pod("static", envoy), namespace=_PLAIN)
    own.apply(_service("origin", PORT), namespace=_PLAIN)
    own.apply(cluster.pod("captured"), namespace=_PLAIN, inject=True)
    ready = ("wait", "-n", _PLAIN, "--for=condition=Ready", cluster.PATIENCE)
    own.kubectl(*ready, "pod/straight", "pod/static", "pod/captured")
    egress = [_egress(own), _envoy(f"sidecar~captured.{_PLAIN}")]

    def way(name: str, pod: str, url: str, pids: Sequence[int]) -> Way:
        prefix, host = own.exec(_PLAIN, pod), HOST if pod == "static" else ""
        baseline = "" if pod == "static" else by_hand
        return Way(name, lambda seconds: load.wrk(prefix, url, seconds, host=host), pids, baseline)

    by_hand = "a static Envoy in the pod"
    ways = [
        way(by_hand, "static", f"http://127.0.0.1:{static.HTTP}/1k", [_envoy("ogb~static")]),
        way("straight out", "straight", f"http://{own.origin}:{PORT}/1k", []),
        way("sidecar and egress", "captured", f"http://origin:{PORT}/1k", egress),
    ]
    return compare(ways, ROUNDS)


def _version(own: Own) -> str:
    """Return the tag of Envoy's image, as it is installed."""
    path = "-o=jsonpath={.spec.template.spec.containers[0].image}"
    found = own.kubectl("get", "deployment", "-n", cluster.SYSTEM, "outgate-egress", path)
    return found.rpartition(":")[2]


def _services(own: Own) -> dict[str, Any]:
    """Return what it takes until the last of many Services that are made at once can be called."""
    own.apply(cluster.pod("many"), namespace=_PLAIN, inject=True)
    own.kubectl("wait", "-n", _PLAIN, "--for=condition=Ready", cluster.PATIENCE, "pod/many")
    controller = processes.find(f"--hub={cluster.HUB}", "python3.11")
    items = [_service(f"many-{number}", PORT, many="yes") for number in range(SERVICES)]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    url = f"http://many-{SERVICES - 1}:{PORT}/1k"
    calls, cpu = _asked(own), processes.cpu_seconds([controller])
    began = time.monotonic()
    with _until(own, f"until curl -sf -m 5 -o /dev/null {url}; do sleep 0.02; done") as called:
        own.kubectl("create", "-n", _PLAIN, "-f", "-", text=text, seconds=300)
        made = time.monotonic() - began
        called()
    last = time.monotonic() - began
    calls, cpu = _asked(own) - calls, processes.cpu_seconds([controller]) - cpu
    with _until(own, f"while curl -sf -m 5 -o /dev/null {url}; do sleep 0.02; done") as ended:
        path = f"/api/v1/namespaces/{_PLAIN}/services?labelSelector=many%3Dyes"
        began = time.monotonic()
        own.kubectl("delete", "--raw", path)
        ended()
    return {
        "services": SERVICES,
        "made_s": round(made, 2),
        "callable_s": round(last, 2),
        "behind_ms": round((last - made) * 1000),
        "ended_s": round(time.monotonic() - began, 2),
        "controller_cpu_s": round(cpu, 2),
        "controller_rss_mb": round(processes.rss_mb([controller])),
        "egress_rss_mb": round(processes.rss_mb([_egress(own)])),
        "api_calls": calls,
    }


@contextmanager
def _until(own: Own, script: str) -> Iterator[Callable[[], int]]:
    """Run a script in a pod meanwhile; what is given waits for its end."""
    command = (*own.exec(_PLAIN, "many"), "sh", "-c", script)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our own
        try:
            yield lambda: process.wait(60)
        finally:
            process.kill()


def _asked(own: Own) -> int:
    """Return how many requests the API server has taken from service accounts: nearly all are the controller's."""
    metric = r'apiserver_flowcontrol_dispatched_requests_total{flow_schema="service-accounts"'
    found = re.findall(
        rf"^{metric},.*}} (\S+)$", own.kubectl("get", "--raw", "/metrics"), re.MULTILINE
    )
    return round(sum(map(float, found)))
