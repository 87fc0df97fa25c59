"""What policies cost: a call under none, one, a hundred and a thousand rules, and a change of one rule."""

import datetime
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import features, load, mesh, origin, processes, scale
from bench.datapath import Way, compare
from bench.mesh import Mesh
from bench.tables import least, table

RULES = (0, 1, 100, 1_000)
IN_ONE = 50
"""Rules of one policy; it may have 64."""
CHANGES, ROUNDS = 10, 6
CALLED = "called"


def policies(namespace: str, count: int, *also: str) -> Iterator[dict[str, Any]]:
    """Yield policies with `count` rules in all, of which the last allows what is called, and `also`."""
    names = [f"r{index}" for index in range(count - 1)] + [CALLED]
    for number, first in enumerate(range(0, count, IN_ONE)):
        part = names[first : first + IN_ONE]
        yield policy(namespace, f"p{number}", [_rule(each) for each in part])
    if also:
        yield policy(namespace, "also", [_rule(*also)])


def policy(namespace: str, name: str, rules: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return an EgressPolicy for all pods of a namespace."""
    return {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "EgressPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"subject": {}, "rules": list(rules)},
    }


def _rule(*names: str) -> dict[str, Any]:
    http = [{"methods": ["GET"], "paths": [{"prefix": "/1k"}]}]
    return {
        "action": "Allow",
        "to": [{"host": features.host(each)} for each in names],
        "http": http,
    }


def measure(folder: Path) -> dict[str, Any]:
    """Return when it was measured, and a row for each number of rules, each in a namespace of its own."""
    now = datetime.datetime.now(datetime.UTC)
    with mesh.running(folder, origin.ca_file(folder)) as own:
        ways = [_way(own, count) for count in RULES]
        plain, *_ = ways
        rows = [
            {
                **row,
                "rules": count,
                "of_none": round(way.compared_with(plain), 3),
                **(_changes(own, folder, count) if count else {}),
            }
            for count, way, row in zip(RULES, ways, compare(ways, ROUNDS), strict=True)
        ]
    return {"date": f"{now:%Y-%m-%d %H:%M} UTC", "rows": rows}


def _namespace(count: int) -> str:
    return f"rules-{count}"


def _way(own: Mesh, count: int) -> Way:
    """Declare what a namespace calls and its rules, and return the way from its pod."""
    namespace = _namespace(count)
    services = [features.plain(name, namespace) for name in (CALLED, *_probed())]
    own.apply([*services, *policies(namespace, count)])
    own.pod("app", "-n", namespace)
    prefix = own.command("exec", "-n", namespace, "app", "--")
    url = f"http://{features.host(CALLED)}/1k"
    return Way(
        f"{count:,} rules",
        lambda seconds: load.wrk(prefix, url, seconds, settings=own.settings),
        [own.status()["egress"]["pid"]],
    )


def _probed() -> list[str]:
    return [f"c{index}" for index in range(CHANGES)]


def _changes(own: Mesh, folder: Path, count: int) -> dict[str, Any]:
    """Return how long it takes until a rule that is new allows a call, and what CPU it costs."""
    namespace = _namespace(count)
    values = {
        features.host(name): policy(namespace, f"n{index}", [_rule(name)])
        for index, name in enumerate(_probed())
    }
    with scale.probing(own, "app", folder, "-n", namespace) as probe:
        changes = list(scale.allowed_after(probe, own.write, values))
    status = own.status()
    pids = status["pid"], status["egress"]["pid"]
    before = [processes.cpu_seconds([each]) for each in pids]
    for name in _probed():
        own.write(policy(namespace, "n0", [_rule(name)]))
    used = (processes.cpu_seconds([each]) - then for each, then in zip(pids, before, strict=True))
    daemon, egress = (round(each * 1000 / CHANGES, 1) for each in used)
    return {
        "change_p50_ms": round(statistics.median(changes), 1),
        "change_p99_ms": scale.percentile(changes, 99),
        "daemon_cpu_ms": daemon,
        "egress_cpu_ms": egress,
    }


def targets(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is to be reached, what was, and whether that is enough."""
    rates = {each["rules"]: each["of_none"] for each in results["rows"]}
    return [least("calls under 1,000 rules, as a part of those under none", rates[1000], 0.9)]


def tables(results: Mapping[str, Any]) -> Sequence[str]:
    """Return it as Markdown."""
    lines = [
        [
            f"{each['rules']:,}",
            f"{each['requests_per_second']:,}",
            each["of_none"],
            each["cpu_seconds_per_10k"],
            f"{each['change_p50_ms']} / {each['change_p99_ms']}" if each["rules"] else "",
            each.get("daemon_cpu_ms", ""),
            each.get("egress_cpu_ms", ""),
        ]
        for each in results["rows"]
    ]
    head = (
        "rules of the caller's namespace", "requests/s", "of none", "CPU s per 10k", "new rule p50 / p99 ms",
        "its CPU: daemon ms", "egress Envoy ms",
    )  # fmt: skip
    return "### Policies", f"Measured {results['date']}.", table(head, lines)
