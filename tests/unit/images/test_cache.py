"""What was built is kept until something that it is made from changes."""

import os
from pathlib import Path

import pytest

from images import cache


def test_a_key_is_of_names_and_content(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "a.py").write_text("a")
    keys = [cache.key("text", folder)]
    (folder / "__pycache__/a.pyc").write_text("compiled")
    os.utime(folder / "a.py", (0, 0))
    assert cache.key("text", folder) == keys[0]
    (folder / "a.py").write_text("b")
    keys.append(cache.key("text", folder))
    (folder / "a.py").rename(folder / "b.py")
    keys.append(cache.key("text", folder))
    keys += [cache.key("other", folder), cache.key("tex", "t", folder), cache.key(folder / "b.py")]
    assert len(set(keys)) == len(keys)


def test_things_are_made_once_and_the_oldest_go(tmp_path: Path) -> None:
    made = []

    def fill(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("whole")

    with cache.opened(tmp_path) as kept:
        for key in ("1", "2", "3", "1", "4", "1"):
            assert (kept.entry("thing", key, fill) / "file").read_text() == "whole"
    assert len(made) == 4
    assert {each.name for each in tmp_path.glob("thing-*")} == {"thing-1", "thing-3", "thing-4"}


def test_what_was_not_finished_is_not_there(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "file").write_text("half")
        raise RuntimeError

    def succeed(folder: Path) -> None:
        (folder / "file").write_text("whole")

    (tmp_path / "new-left").mkdir()
    with cache.opened(tmp_path) as kept:
        with pytest.raises(RuntimeError):
            kept.entry("thing", "1", fail)
        assert not list(tmp_path.glob("new-*"))
        assert (kept.entry("thing", "1", succeed) / "file").read_text() == "whole"
