"""A golden case is a folder: its name is its id, `input.yaml` says first why it exists, the rest is expected output."""

import ipaddress
import random
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from outgate.cli import files
from outgate.firewall.rules import CaptureRules
from outgate.host import sandboxes
from outgate.host.pods import Pod
from outgate.host.translating import Options, Translated, translate
from outgate.model.ranges import parse_ranges
from outgate.model.workloads import Capture
from outgate.resources.documents import Document
from outgate.resources.manifests import read
from outgate.xds.snapshot import Snapshot

ROOT = Path(__file__).parent
_NETWORKS = ("raw_ranges", "include", "exclude", "proxy_reach")


@dataclass(frozen=True, slots=True)
class Case:
    folder: Path
    update: bool

    @property
    def text(self) -> str:
        return (self.folder / "input.yaml").read_text()

    @property
    def options(self) -> Options:
        first = self.text.splitlines()[0]
        words = shlex.split(first.removeprefix("# flags:")) if "# flags:" in first else []
        flags = dict(zip(words[::2], words[1::2], strict=True))
        include = parse_ranges(flags.get("--includeIPRanges", ""), "")
        return Options(capture=Capture(flags.get("--capture", "node")), include=include)

    def documents(self, *, seed: int | None = None) -> tuple[list[Document], str]:
        """Those that are valid, in an order that `seed` shuffles, and what is wrong with others."""
        documents, problems = files.valid(read(self.text, "input.yaml"), "default")
        if seed is not None:
            random.Random(seed).shuffle(documents)  # noqa: S311 - an order, not a secret
        return documents, "".join(f"{each}\n" for each in problems)

    def translated(self, *, seed: int | None = None) -> Translated:
        return translate(self.documents(seed=seed)[0], self.options)

    def rules(self) -> CaptureRules:
        value: dict[str, Any] = yaml.safe_load(self.text)
        if "pod" in value:
            return sandboxes.rules(
                Pod("default", "sleep", include=tuple(value["pod"].get("include", ())))
            )
        fields = value["rules"]
        for name in fields:
            if name in _NETWORKS:
                fields[name] = tuple(ipaddress.ip_network(each) for each in fields[name])
            elif name.endswith("_ports"):
                fields[name] = tuple(fields[name])
        return CaptureRules(**fields)

    def check(self, name: str, text: str) -> None:
        """Compare with what is expected, byte for byte; a file that would be empty is not there."""
        path = self.folder / name
        if self.update:
            path.write_text(text) if text else path.unlink(missing_ok=True)
        expected = path.read_text() if path.exists() else ""
        assert text == expected, f"{path} differs: see the difference with --update-golden and git"


def added(snapshot: Snapshot, base: Snapshot) -> Snapshot:
    """What differs from `base`, so that a case shows what it is about."""
    kept = (
        resource
        for type_url, found in snapshot.types.items()
        for resource in found.values()
        if base.get(type_url, resource.name) != resource
    )
    return Snapshot().replace(kept)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    stage = metafunc.module.__name__.rpartition("test_golden_")[2]
    if "case" in metafunc.fixturenames:
        folders = sorted(path for path in (ROOT / stage).iterdir() if path.is_dir())
        metafunc.parametrize("case", folders, ids=[path.name for path in folders], indirect=True)


@pytest.fixture
def case(request: pytest.FixtureRequest, update_golden: bool) -> Case:
    found = Case(request.param, update_golden)
    assert found.text.startswith("# "), "an input starts with a comment that says why it exists"
    return found


@pytest.fixture
def difference() -> Callable[[Snapshot, Snapshot], Snapshot]:
    return added
