import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.golden.bootstraps import static

from outgate.envoy import binary
from outgate.envoy.validate import validate
from outgate.host import translating
from outgate.xds import naming, rendering
from outgate.xds.consistency import dangling, unreachable
from outgate.xds.snapshot import Snapshot

Difference = Callable[[Snapshot, Snapshot], Snapshot]
NOTHING = translating.translate((), translating.Options()).egress


LISTENERS_SHOWN = {"addresses", "nothing", "ports", "ranges", "sidecar", "wildcards"}
"""Cases that are about listeners; they would be most of every other one."""


def test_expected(case: Any, difference: Difference) -> None:
    documents, problems = case.documents()
    translated = translating.translate(documents, case.options)
    whole = case.folder.name == "nothing"
    egress = translated.egress if whole else difference(translated.egress, NOTHING)
    shown: dict[str, dict[str, Any]] = {"egress": rendering.render(egress)}
    if case.folder.name not in LISTENERS_SHOWN:
        changed = shown["egress"].get("listeners", ())
        shown["egress"]["listeners"] = [
            each if each["name"] == naming.DNS else {"name": each["name"]} for each in changed
        ]
    if translated.sidecar is not None:
        shown["sidecar"] = rendering.render(translated.sidecar)
    case.check("xds.yaml", translating.write(shown, "yaml"))
    case.check("problems.txt", problems)


def test_expected_is_what_translate_prints(case: Any) -> None:
    documents, _ = case.documents()
    shown = translating.xds(documents, case.options)
    assert shown["egress"] == rendering.render(case.translated().egress)


def test_order_of_documents_does_not_matter(case: Any) -> None:
    expected = case.translated()
    for seed in range(3):
        shuffled = case.translated(seed=seed)
        assert shuffled.egress.types == expected.egress.types
        assert shuffled.sidecar == expected.sidecar


def test_every_name_that_is_used_exists(case: Any) -> None:
    translated = case.translated()
    programmed = translated.mesh.programmed
    assert dangling(translated.egress) == []
    assert unreachable(translated.egress, programmed) == []
    if translated.sidecar is not None:
        assert dangling(translated.sidecar) == []


def test_no_secret_is_shown(case: Any) -> None:
    shown = json.dumps(translating.xds(case.documents()[0], case.options))
    assert "private_key" not in shown
    assert "inline_bytes" not in shown


@pytest.mark.envoy
def test_envoy_accepts_it(case: Any, tmp_path: Path) -> None:
    translated = case.translated()
    for number, snapshot in enumerate(filter(None, (translated.egress, translated.sidecar))):
        folder = tmp_path / str(number)
        folder.mkdir()
        validate(binary.find(), static(rendering.render(snapshot), folder))
