"""Every golden case through the command itself, and what must be so in all of them."""

import itertools
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from outgate.cli.injecting import kube_inject_command
from outgate.inject.documents import inject
from outgate.inject.options import Options
from outgate.resources.manifests import read
from outgate.resources.streams import split

GOLDEN = Path(__file__).parents[2] / "golden" / "inject"
CASES = sorted(GOLDEN.iterdir())


def source(case: Path) -> Path:
    return next(iter(case.glob("input.*")))


def run(name: Path | str, case: Path, stdin: bytes | None = None) -> Result:
    args = case / "args"
    flags = args.read_text().splitlines() if args.exists() else []
    result = CliRunner().invoke(
        kube_inject_command,
        ["-f", str(name), "--setVersionString=test", "--tag=test", *flags],
        input=stdin,
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    return result


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    found: Path = request.param
    monkeypatch.chdir(found)
    return found


def test_output(case: Path, update_golden: bool) -> None:
    name = source(case)
    result = run(name.name, case)
    output, said = case / f"output{name.suffix}", case / "stderr.txt"
    if update_golden:
        output.write_bytes(result.stdout_bytes)
        said.unlink(missing_ok=True)
        if result.stderr:
            said.write_text(result.stderr)
    assert result.stdout_bytes == output.read_bytes()
    assert result.stderr == (said.read_text() if said.exists() else "")


def test_injecting_twice_equals_injecting_once(case: Path) -> None:
    once = run(source(case).name, case).stdout_bytes
    assert run("-", case, once).stdout_bytes == once


def test_order_of_documents_does_not_matter(case: Path) -> None:
    text = source(case).read_text()
    parts = [f"---\n{read_alone(part.text)}\n" for part in split(text) if not part.empty]
    outputs = {part: inject(part, "-", Options()).text for part in parts}
    for order in itertools.permutations(parts):
        expected = "".join(outputs[part] for part in order)
        assert inject("".join(order), "-", Options()).text == expected


def read_alone(text: str) -> str:
    """The document without what a stream has around it: markers and directives."""
    lines = text.split("\n")
    return "\n".join(line for line in lines if not line.startswith(("---", "...", "%")))


def test_only_capture_is_added(case: Path) -> None:
    name = source(case)
    before = read(name.read_bytes(), "-")
    after = read((case / f"output{name.suffix}").read_bytes(), "-")
    assert not after.problems
    assert len(after.documents) == len(before.documents)
    for old, new in zip(before.documents, after.documents, strict=True):
        assert without_capture(new.value) == without_capture(old.value)


def without_capture(value: object) -> object:
    """Take away all that is ours, so that only what a user wrote is compared."""
    if isinstance(value, dict):
        fields = {key: without_capture(field) for key, field in value.items()}
        for name in ("outgate.dev/status", "outgate.dev/captured"):
            fields.pop(name, None)
        dropped = fields.get("drop")
        # A list of capabilities; nobody's input drops this one.
        if isinstance(dropped, list):
            fields["drop"] = [each for each in dropped if each != "NET_RAW"]
        return {key: field for key, field in fields.items() if field not in ({}, [])}
    if isinstance(value, list):
        ours = [
            each
            for each in value
            if not (isinstance(each, dict) and str(each.get("name")).startswith("outgate-"))
        ]
        return [without_capture(each) for each in ours]
    return value
