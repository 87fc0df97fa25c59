"""The Containerfile says the same as the build without an engine."""

import re
import shlex
from pathlib import Path

from images import labels, layers, native

PROJECT = Path(__file__).parents[3]
LINES = (PROJECT / "images/Containerfile").read_text().replace("\\\n", " ").splitlines()


def instructions(name: str) -> list[str]:
    return [line.removeprefix(f"{name} ").strip() for line in LINES if line.startswith(f"{name} ")]


def test_labels() -> None:
    [version] = [each for each in instructions("ARG") if each.startswith("VERSION=")]
    [text] = instructions("LABEL")
    said = text.replace("$VERSION", version.removeprefix("VERSION="))
    assert dict(word.split("=", 1) for word in shlex.split(said)) == labels.outgate(PROJECT)


def test_how_it_is_run() -> None:
    assert instructions("USER") == [native.USER]
    assert instructions("ENTRYPOINT") == ['["outgate"]']


def test_layers() -> None:
    copied = [each for each in instructions("COPY") if each.startswith("--from=build ")]
    assert copied == [f"--from=build /image/{each}/ /" for each in layers.NAMES]
    made = [re.search(r"images\.layers (\w+)", each) for each in instructions("RUN")]
    assert [each[1] for each in made if each] == list(layers.NAMES)


def test_images_are_pinned() -> None:
    first, second = instructions("FROM")
    assert re.fullmatch(r"docker\.io/library/debian:12\.\d+-slim AS build", first)
    assert second == "scratch"


def test_what_is_copied_is_not_ignored() -> None:
    ignore = (PROJECT / "images/Containerfile.containerignore").read_text().splitlines()
    allowed = {each.removeprefix("!") for each in ignore if each.startswith("!")}
    words = [each.split()[:-1] for each in instructions("COPY") if not each.startswith("--from")]
    assert {each for group in words for each in group} == allowed
    for each in allowed:
        assert list(PROJECT.glob(each))
