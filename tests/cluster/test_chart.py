"""Helm makes of the chart what `outgate install` prints with the same flags, object for object."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from tests.cluster import builds
from tests.cluster.cluster import EXTERNAL
from tests.cluster.conftest import say

from outgate.cli.charting import NOT_VALUES
from outgate.cli.installing import install_command
from outgate.kube.helm.chart import files
from outgate.kube.helm.values import Value
from outgate.serve import authority
from outgate.serve.certificates import now


@pytest.fixture(scope="module")
def helm(pytestconfig: pytest.Config) -> str:
    if not os.environ.get(EXTERNAL):
        builds.build(say(pytestconfig))
    return str(builds.program("helm"))


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chart") / "outgate"
    outgate("install", "--helm", str(folder))
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_bytes(authority.create(now(), "test").bundle)
    return str(path)


def outgate(*words: str) -> str:
    command = [sys.executable, "-m", "outgate", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, check=False, capture_output=True, text=True)


def objects(text: str) -> dict[tuple[str, str, str], Any]:
    found = [each for each in yaml.safe_load_all(text) if each]
    keyed = {
        (
            each["kind"],
            each["metadata"].get("namespace", ""),
            each["metadata"]["name"],
        ): each
        for each in found
    }
    assert len(keyed) == len(found) > 10
    return keyed


# Flags of `outgate install`, and those of Helm; BUNDLE is a file.
CASES: list[tuple[list[str], list[str]]] = [
    ([], []),
    (
        ["--hub=registry.test:5000/mesh", "--tag=v1.2_3"],
        ["--set=hub=registry.test:5000/mesh,tag=v1.2_3"],
    ),
    (["--replicas=1", "--egress-replicas=7"], ["--set=replicas=1,egressReplicas=7"]),
    (["--egress-max-connections=10000000"], ["--set=egressMaxConnections=10000000"]),
    (
        ["--cluster-ranges=10.0.0.0/8,fd00::/48"],
        ["--set-json", 'clusterRanges=["10.0.0.0/8","fd00::/48"]'],
    ),
    (["--ca-file", "BUNDLE"], ["--set-file", "caBundle=BUNDLE"]),
    (
        [
            "--set=OUTGATE_EAGER_SERVICES=100000",
            "--set=OUTGATE_RESOLVERS=192.0.2.1,2001:db8::1",
            "--set=OUTGATE_CONNECT_TIMEOUT=0.5",
        ],
        [
            "--set=settings.OUTGATE_EAGER_SERVICES=100000,settings.OUTGATE_CONNECT_TIMEOUT=0.5",
            r"--set=settings.OUTGATE_RESOLVERS=192.0.2.1\,2001:db8::1",
        ],
    ),
    (
        [
            *("--ca-file", "BUNDLE", "--hub=registry.test", "--imagePullPolicy=Always"),
            *("--cluster-ranges=10.0.0.0/8", "--trust-domain=example.org"),
        ],
        [
            *("--set-file", "caBundle=BUNDLE", "--set=hub=registry.test,imagePullPolicy=Always"),
            "--set=clusterRanges[0]=10.0.0.0/8,trustDomain=example.org",
        ],
    ),
]


@pytest.mark.parametrize(("flags", "values"), CASES, ids=lambda each: " ".join(each)[:40] or "none")
def test_helm_makes_the_same(
    helm: str, chart: Path, bundle: str, flags: Sequence[str], values: Sequence[str]
) -> None:
    flags, values = ([each.replace("BUNDLE", bundle) for each in x] for x in (flags, values))
    done = run(helm, "template", "outgate", str(chart), *values)
    assert done.returncode == 0, done.stderr
    wanted = objects(outgate("install", *flags))
    made = objects(done.stdout)
    assert made.keys() == wanted.keys()
    for key, each in wanted.items():
        assert made[key] == each, key


def choices() -> Iterator[tuple[str, str]]:
    """Yield each choice of each flag that has some, also of flags that were added after this was written."""
    for each in install_command.params:
        if not isinstance(each, click.Option) or each.name in NOT_VALUES:
            continue
        flag = each.opts[0]
        name = re.sub("-(.)", lambda found: found[1].upper(), flag.lstrip("-"))
        if isinstance(each.type, click.Choice):
            yield from ((f"{flag}={x}", f"{name}={x}") for x in each.type.choices)
        elif isinstance(each.type, click.types.BoolParamType) and not each.is_flag:
            yield from ((f"{flag}={x}", f"{name}={x}") for x in ("true", "false"))
        elif each.is_flag:
            yield flag, f"{name}=true"
            yield from ((no, f"{name}=false") for no in each.secondary_opts)


@pytest.mark.parametrize(("flag", "value"), list(choices()))
def test_each_choice(helm: str, chart: Path, flag: str, value: str) -> None:
    done = run(helm, "template", "outgate", str(chart), "--set", value)
    assert done.returncode == 0, done.stderr
    assert objects(done.stdout) == objects(outgate("install", flag))


def test_flags_become_the_defaults(helm: str, bundle: str, tmp_path: Path) -> None:
    flags = ["--replicas=5", "--ca-file", bundle, "--set=OUTGATE_IDLE_TIMEOUT=20"]
    outgate("install", "--helm", str(tmp_path), *flags)
    done = run(helm, "template", "outgate", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert objects(done.stdout) == objects(outgate("install", *flags))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("replicas=0", ["replicas", "minimum"]),
        ("replicas=x", ["replicas", "integer"]),
        ("replica=3", ["additional properties 'replica' not allowed"]),
        ("hub=http://x", ["hub", "pattern"]),
        ("tag=", ["tag", "pattern"]),
        ("imagePullPolicy=Sometimes", ["imagePullPolicy", "'Always'"]),
        ("clusterRanges=10.0.0.0/8", ["clusterRanges", "array"]),
        ("clusterRanges[0]=a.b", ["clusterRanges", "pattern"]),
        ("caBundle=nonsense", ["caBundle", "pattern"]),
        ("settings.OUTGATE_NOTHING=1", ["settings", "'OUTGATE_NOTHING' not allowed"]),
        ("settings.OUTGATE_RUN_DIR=/x", ["settings", "'OUTGATE_RUN_DIR' not allowed"]),
        ("settings.OUTGATE_CONNECT_TIMEOUT=0", ["OUTGATE_CONNECT_TIMEOUT", "minimum"]),
    ],
)
def test_bad_values_are_named(helm: str, chart: Path, values: str, said: list[str]) -> None:
    done = run(helm, "template", "outgate", str(chart), "--set", values)
    assert done.returncode != 0
    for each in said:
        assert each in done.stderr


def test_helm_finds_nothing_wrong_with_it(helm: str, chart: Path) -> None:
    done = run(helm, "lint", "--strict", str(chart))
    assert done.returncode == 0, done.stdout + done.stderr
    schema = json.loads((chart / "values.schema.json").read_text())
    assert schema["additionalProperties"] is False


def test_helm_may_make_the_namespace_itself(helm: str, chart: Path) -> None:
    done = run(helm, "template", "outgate", str(chart), "--namespace", "outgate-system")
    wanted = objects(outgate("install"))
    del wanted["Namespace", "", "outgate-system"]
    assert objects(done.stdout) == wanted


VALUES = [
    Value(
        "on", "on", "A switch.", default=False, schema={"type": "boolean"}, samples=(False, True)
    ),
    Value(
        "also", "also", "One more.", default=True, schema={"type": "boolean"}, samples=(False, True)
    ),
    Value("text", "text", "A text.", "", {"type": "string"}, ("", "text.sample")),
    Value("mode", "mode", "A mode.", "a", {"type": "string", "enum": ["a", "b"]}, ("a", "b")),
]


def anything(flags: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return manifests that differ in every way in which they may."""
    on, also, text, mode = (flags[each] for each in ("on", "also", "text", "mode"))
    spec: dict[str, Any] = {
        **({"first": {"if": on}} if on else {}),
        "template": "{{ .Name }} {{{{ }}",
        "lines": f"a {{{{ .Zone }}}}\n\n  b {text}\n" + ("c\n" if on and also else ""),
        "odd": [
            " leading\n  space",
            "tab\there\n",
            "trailing\n\n",
            'quo"te\\ # : {',
            "",
            "true",
            "1",
        ],
        "types": [
            "x" if on else 1,
            None if also else "x",
            [] if text else {"a": []},
            {} if on else [1],
        ],
        "empty": [{"text": text}] if text and not on else [],
        "between": [
            "p",
            *(["x"] if on else []),
            *(["y"] if also else []),
            *(["z"] if text else []),
            "q",
        ],
        "order": ["p", "q"] if on else ["q", "p"],
        "neither": "y" if on == also else "n",
        "mode": f"--mode={mode}, {'strict' if mode == 'b' else 'lax'}",
        "rules": [
            {**({"from": text} if text else {}), "ports": [1]},
            *([{"ports": [2]}] if on or mode == "b" else []),
            {"name": "same", "value": [mode, *(["x"] if also else [])]},
        ],
    }
    found = [{"kind": "A", "metadata": {"name": "a"}, "spec": spec}]
    found += [{"kind": "B", "metadata": {"name": "b"}, "on": on}] if also or text else []
    return found


def test_whatever_differs_is_rendered(helm: str, tmp_path: Path) -> None:
    """What will be added to the manifests is in the chart without anything being done for it."""
    for name, text in files(VALUES, anything).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for choice in itertools.product((False, True), (False, True), ("", "some"), ("a", "b")):
        flags = dict(zip(("on", "also", "text", "mode"), choice, strict=True))
        (tmp_path / "chosen.yaml").write_text(json.dumps(flags))
        done = run(helm, "template", "x", str(tmp_path), "-f", str(tmp_path / "chosen.yaml"))
        assert done.returncode == 0, done.stderr
        made = {each["kind"]: each for each in yaml.safe_load_all(done.stdout) if each}
        assert made == {each["kind"]: each for each in anything(flags)}, flags
