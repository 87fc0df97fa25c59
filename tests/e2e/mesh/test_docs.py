"""Every command that a document shows does what the document says."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.envoy]

ROOT = Path(__file__).parents[3]
BEGIN = "outgate up; outgate run -d --name sleep -l app=sleep -- sleep infinity"
# What stands for a user's own programs and files.
STAND_INS = {
    "bin/sudo": '#!/bin/sh\nexec "$@"\n',
    "bin/npm": "#!/bin/sh\necho installed\n",
    "build.sh": "#!/bin/sh\ncurl -sS -m 5 http://externalbin/status/204 && id -un\n",
}
# A document, what its commands need to be there, and which of them fail, as the text beside them says.
DOCUMENTS = [
    ("README.md", "", ["curl http://httpbin.org/headers"]),
    ("docs/task.md", BEGIN, []),
    ("docs/external-services.md", BEGIN, []),
    ("docs/http-rules.md", BEGIN, []),
    # Nothing was called that a policy would have denied.
    ("docs/policies.md", "outgate up", ["grep"]),
    ("docs/untrusted-code.md", "", []),
    ("docs/kube-inject.md", "", []),
]
IN_A_CLUSTER = {"docs/kubernetes.md"}
"""Tried by tests/cluster/mesh/test_docs.py."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="oge-docs-", dir="/tmp") as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "bin").mkdir()
        for file, text in STAND_INS.items():
            (root / file).write_text(text)
            (root / file).chmod(0o755)
        shutil.copytree(ROOT / "samples", root / "samples")
        shutil.copy(ROOT / "samples/externalbin.yaml", root / "allowed.yaml")
        yield root


def commands(document: str) -> str:
    blocks = re.findall(
        r"^```sh\n(.*?)^```", (ROOT / document).read_text(), re.DOTALL | re.MULTILINE
    )
    return "\n".join(each for each in blocks if not each.startswith("make "))


@pytest.mark.parametrize(("document", "first", "failing"), DOCUMENTS)
def test_commands(
    stopped_mesh: Any, folder: Path, document: str, first: str, failing: list[str]
) -> None:
    script = f"{first}\ntrap 'echo \"failed: $BASH_COMMAND\" >&3' ERR\n{commands(document)}"
    reading, writing = os.pipe()
    environment = stopped_mesh.environment
    environment = environment | {"PATH": f"{folder}/bin:{environment['PATH']}"}
    with os.fdopen(reading) as report:
        done = subprocess.run(
            ["bash", "-c", f"exec 3>&{writing} {writing}>&-\n{script}"],
            cwd=folder, env=environment, pass_fds=[writing], timeout=100, check=False,
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        os.close(writing)
        failed = report.read().splitlines()
    assert len(failed) == len(failing), (failed, done.stdout, done.stderr)
    assert all(words in line for words, line in zip(failing, failed, strict=True)), failed
    assert "Traceback" not in done.stderr


def test_every_document_with_commands_is_tried() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {str(each.relative_to(ROOT)) for each in pages if commands(str(each.relative_to(ROOT)))}
    assert shown - IN_A_CLUSTER == {document for document, _, _ in DOCUMENTS}


def test_the_targets_that_the_readme_names_are_there() -> None:
    named = re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(named) == {"demo", "test"}
    made = (ROOT / "Makefile").read_text()
    assert all(f"\n{each}:" in made for each in named)


def _of_demos() -> set[str]:
    """Return the network namespaces of demos' meshes: others may come and go meanwhile."""
    names = {each.name for each in Path("/run/netns").glob("*")}
    return {each for each in names if each.startswith("demo-")}


def test_the_demo(stopped_mesh: Any, tmp_path: Path) -> None:
    environment = {"PATH": stopped_mesh.environment["PATH"], "HOME": str(tmp_path)}
    before = _of_demos()
    done = subprocess.run(
        ["outgate", "demo"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "$ outgate exec $SOURCE_POD -c sleep -- curl" in done.stdout
    assert _of_demos() == before
