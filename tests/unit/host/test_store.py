import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from outgate.errors import ConflictError, HostError, NotFoundError
from outgate.host.store import Change, Key, Store, key_of, read_file, write_atomically


def service(name: str = "a", host: str = "h.example.com", **metadata: Any) -> dict[str, Any]:
    spec = {"type": "ExternalName", "externalName": host, "ports": [{"port": 80, "name": "http"}]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


KEY = Key("default", "service", "a")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "manifests")


def written(store: Store, key: Key = KEY) -> dict[str, Any]:
    value = json.loads(store.path(key).read_text())
    assert isinstance(value, dict)
    return value


class TestWrite:
    def test_created_unchanged_configured(self, store: Store) -> None:
        assert store.write(service(), "default") is Change.CREATED
        first = written(store)
        assert store.write(service(), "default") is Change.UNCHANGED
        assert written(store) == first
        assert store.write(service(host="other.example.com"), "default") is Change.CONFIGURED
        second = written(store)
        assert second["spec"]["externalName"] == "other.example.com"
        assert second["metadata"]["uid"] == first["metadata"]["uid"]
        assert second["metadata"]["creationTimestamp"] == first["metadata"]["creationTimestamp"]
        assert (first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]) == (
            "1",
            "2",
        )

    def test_the_namespace_of_the_command_counts_where_the_resource_names_none(
        self, store: Store
    ) -> None:
        store.write(service(), "blue")
        assert written(store, Key("blue", "service", "a"))["metadata"]["namespace"] == "blue"
        assert store.write(service(namespace="blue"), "default") is Change.UNCHANGED

    def test_what_get_printed_can_be_applied_again(self, store: Store) -> None:
        store.write(service(), "default")
        assert store.write(written(store), "default") is Change.UNCHANGED

    def test_what_a_server_adds_is_not_taken_from_a_manifest(self, store: Store) -> None:
        store.write(service(uid="mine", resourceVersion="7"), "default")
        assert written(store)["metadata"]["uid"] != "mine"
        assert written(store)["metadata"]["resourceVersion"] == "1"

    def test_create_refuses_what_exists(self, store: Store) -> None:
        store.write(service(), "default", create=True)
        with pytest.raises(ConflictError, match="already exists"):
            store.write(service(host="x.example.com"), "default", create=True)

    def test_only_the_owner_may_read(self, store: Store) -> None:
        with store.locked():
            store.write(service(), "default")
        assert store.path(KEY).stat().st_mode & 0o777 == 0o600
        assert store.root.stat().st_mode & 0o077 == 0

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(HostError, match="cannot write"), Store(tmp_path / "file").locked():
            pass


class TestDelete:
    def test_it_is_gone(self, store: Store) -> None:
        store.write(service(), "default")
        store.delete(KEY)
        assert store.load().documents == ()
        with pytest.raises(NotFoundError, match='"a" not found in namespace "default"'):
            store.delete(KEY)

    def test_another_namespace_is_left_alone(self, store: Store) -> None:
        store.write(service(), "blue")
        with pytest.raises(NotFoundError):
            store.delete(KEY)


class TestFilesOfPeople:
    def file(self, store: Store, *values: dict[str, Any], name: str = "mine.yaml") -> Path:
        path = store.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n---\n".join(json.dumps(each) for each in values))
        return path

    def test_they_count(self, store: Store) -> None:
        self.file(store, service(), service("b"))
        assert [each.value["metadata"]["name"] for each in store.load().documents] == ["a", "b"]

    def test_the_same_written_again_is_unchanged(self, store: Store) -> None:
        self.file(store, service())
        assert store.write(service(), "default") is Change.UNCHANGED

    def test_they_are_never_edited(self, store: Store) -> None:
        path = self.file(store, service(), service("b"))
        before = path.read_bytes()
        with pytest.raises(ConflictError, match=r"is written in .*mine\.yaml"):
            store.write(service(host="x.example.com"), "default")
        with pytest.raises(ConflictError, match=r"is written in .*mine\.yaml"):
            store.delete(KEY)
        assert path.read_bytes() == before

    def test_what_editors_leave_behind_does_not_count(self, store: Store) -> None:
        for name in (".mine.yaml", "mine.yaml~", "mine.yaml.swp", ".git/x.yaml", "note.txt"):
            self.file(store, service(), name=name)
        assert store.files() == []

    def test_one_that_cannot_be_read_is_a_problem_of_its_own(self, store: Store) -> None:
        self.file(store, service())
        (store.root / "broken.yaml").write_text("a: [")
        (store.root / "loop.yaml").symlink_to("loop.yaml")
        found = store.load()
        assert len(found.documents) == 1
        assert {each.location.file for each in found.problems} == {str(store.root / "broken.yaml")}

    def test_one_that_is_gone_has_nothing_in_it(self, store: Store) -> None:
        assert read_file(store.root / "none.yaml").documents == ()

    def test_a_file_with_a_commands_name_but_other_content(self, store: Store) -> None:
        self.file(store, service("b"), name="default/service.a.json")
        assert store.find(KEY) is None


class TestCrash:
    def test_a_failed_write_leaves_the_old_one_and_nothing_else(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.write(service(), "default")
        before = written(store)

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(HostError, match="No space left"):
            store.write(service(host="x.example.com"), "default")
        assert written(store) == before
        assert [each.name for each in store.path(KEY).parent.iterdir()] == ["service.a.json"]

    def test_killed_at_any_moment_it_leaves_the_old_one_or_the_new_one_whole(
        self, store: Store
    ) -> None:
        store.write(service(), "default")
        program = (
            "import sys, pathlib; from outgate.host.store import write_atomically\n"
            "n = 0\nprint(flush=True)\n"
            "while True:\n n += 1\n"
            " write_atomically(pathlib.Path(sys.argv[1]), b'[' + b'%d,' % n * 20000 + b'%d]' % n)\n"
        )
        path = store.path(KEY)
        for attempt in range(5):
            words = [sys.executable, "-c", program, str(path)]
            with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(0.005 * (attempt + 1))
                process.send_signal(signal.SIGKILL)
            value = json.loads(path.read_bytes())
            assert isinstance(value, dict) or len(set(value)) == 1
            # What is left of the write is not taken for a manifest.
            assert store.files() == [path]

    def test_a_reader_never_sees_half(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        for text in (b"1" * 100000, b"2"):
            write_atomically(path, text)
            assert path.read_bytes() == text


def test_the_lock_keeps_others_out(store: Store) -> None:
    program = (
        "import sys, pathlib; from outgate.host.store import Store\n"
        "with Store(pathlib.Path(sys.argv[1])).locked(): print('in')\n"
    )
    with store.locked():
        words = [sys.executable, "-c", program, str(store.root)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.7)
    assert process.communicate(timeout=10)[0] == b"in\n"


def test_a_key_is_what_kubectl_prints() -> None:
    assert key_of(service(namespace="blue")).reference == "service/a"
    assert key_of(service(), "green") == Key("green", "service", "a")
