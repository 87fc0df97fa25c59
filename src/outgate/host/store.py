"""The resources of the local mesh: a folder of manifests, which people may edit as well.

Each resource that a command wrote has a file of its own, `NAMESPACE/KIND.NAME.json`; other YAML and JSON files in the
folder count too. A file is replaced in one step, after it and then its folder were flushed to the disk, so that
a crash at any moment leaves the old one or the new one, whole.
"""

import contextlib
import copy
import enum
import fcntl
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from outgate.errors import ConflictError, HostError, NotFoundError
from outgate.resources import kindnames, kinds
from outgate.resources.documents import Document, Lines
from outgate.resources.manifests import Manifests, read
from outgate.resources.problems import Location, Problem

SUFFIXES = (".yaml", ".yml", ".json")
_KINDS = "|".join(sorted(kind.lower() for _, kind in kinds.known()))
_OWN, _NONE = re.compile(rf"({_KINDS})\.[a-z0-9.-]+\.json"), re.compile(r"(?!)")
"""Names of files that commands write, and no names."""
_TEMPORARY = ".writing"
_SERVER_FIELDS = ("uid", "creationTimestamp", "resourceVersion", "generation", "managedFields")
"""Fields of metadata that the store sets and a manifest's author does not."""


class Change(enum.StrEnum):
    """What a command did to a resource, in kubectl's words."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A resource's identity; `kind` is in lower case."""

    namespace: str
    kind: str
    name: str

    @property
    def reference(self) -> str:
        """How kubectl names it in messages: `service/externalbin`, `externalservice.outgate.dev/github`."""
        return f"{self.qualified}/{self.name}"

    @property
    def qualified(self) -> str:
        """The kind, with its API group."""
        return kindnames.qualified(self.kind)


def key_of(value: Mapping[str, Any], namespace: str = "default") -> Key:
    """Return the identity of a resource that has a kind and a name."""
    metadata = value["metadata"]
    return Key(metadata.get("namespace") or namespace, value["kind"].lower(), metadata["name"])


Edited = Mapping[Key, tuple[Path, Document]]


@dataclass(frozen=True, slots=True)
class Store:
    """The folder `root`, which need not exist yet."""

    root: Path

    def path(self, key: Key) -> Path:
        """Return the file of a resource that a command wrote."""
        return self.root / key.namespace / f"{key.kind}.{key.name}.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from writing meanwhile."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            hint = "run as root, or set OUTGATE_STATE_DIR to a folder of yours"
            raise HostError(f"cannot write {self.root}: {error.strerror}", hint=hint) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def files(self) -> list[Path]:
        """Return all manifests, in a fixed order."""
        return sorted(self._walk(self.root))

    def _walk(self, folder: Path, skipped: re.Pattern[str] = _NONE) -> Iterator[Path]:
        """Yield what `is_manifest` holds for, below a folder; pathlib's own walk takes thirty times as long.

        Names that match `skipped` are passed over where commands write: one folder down.
        """
        ours = folder.parent == self.root
        try:
            names = os.listdir(folder)
        except OSError:
            return
        for name in names:
            if name.startswith(".") or (ours and skipped.fullmatch(name)):
                continue
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                yield from self._walk(path, skipped)
            elif name.endswith(SUFFIXES) and path.is_file():
                yield path

    def is_manifest(self, path: Path) -> bool:
        """Whether a path is one that counts: hidden files and folders do not, as editors leave some behind."""
        hidden = any(part.startswith(".") for part in path.relative_to(self.root).parts)
        return path.suffix in SUFFIXES and not hidden

    def load(self) -> Manifests:
        """Read every manifest; a file that cannot be read is a problem of its own."""
        parts = [read_file(path) for path in self.files()]
        documents = tuple(each for part in parts for each in part.documents)
        return Manifests(documents, tuple(each for part in parts for each in part.problems))

    def edited(self) -> Edited:
        """Return the resources that stand in files which no command wrote, the first file of each."""
        found: dict[Key, tuple[Path, Document]] = {}
        for path in sorted(self._walk(self.root, _OWN)):
            for document in read_file(path).documents:
                with contextlib.suppress(KeyError, TypeError, AttributeError):
                    found.setdefault(key_of(document.value), (path, document))
        return found

    def find(self, key: Key, edited: Edited | None = None) -> tuple[Path, Document] | None:
        """Return where a resource stands, and it; for many, `edited` is read once."""
        own = self.path(key)
        for document in read_file(own).documents:
            with contextlib.suppress(KeyError, TypeError, AttributeError):
                if key_of(document.value) == key:
                    return own, document
        return (self.edited() if edited is None else edited).get(key)

    def write(
        self,
        value: Mapping[str, Any],
        namespace: str,
        edited: Edited | None = None,
        *,
        create: bool = False,
    ) -> Change:
        """Write one resource, under the lock; with `create` one that exists is a ConflictError."""
        key = key_of(value, namespace)
        found = self.find(key, edited)
        if found is not None and create:
            raise ConflictError(
                f'{kinds.plural(key.kind)} "{key.name}" already exists',
                hint="use apply to change it",
            )
        old = found[1].value if found else None
        if old is not None and _plain(old, namespace) == _plain(value, namespace):
            return Change.UNCHANGED
        if found is not None and found[0] != self.path(key):
            message = f"{key.reference} is written in {found[0]}"
            raise ConflictError(
                message, hint="change it there: a command does not edit files of yours"
            )
        _replace(self.path(key), _stamped(value, key, old))
        return Change.CREATED if old is None else Change.CONFIGURED

    def delete(self, key: Key, edited: Edited | None = None) -> None:
        """Remove one resource, under the lock; NotFoundError where there is none."""
        found = self.find(key, edited)
        if found is None:
            raise NotFoundError(
                f'{kinds.plural(key.kind)} "{key.name}" not found in namespace "{key.namespace}"'
            )
        if found[0] != self.path(key):
            message = f"{key.reference} is written in {found[0]}"
            raise ConflictError(
                message, hint="remove it there: a command does not edit files of yours"
            )
        found[0].unlink()
        _flush_directory(found[0].parent)


def read_file(path: Path) -> Manifests:
    """Read one manifest; one that has gone meanwhile has nothing in it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Manifests((), ())
    except OSError as error:
        problem = Problem(Location(str(path)), "", "", f"cannot be read: {error.strerror}")
        return Manifests((), (problem,))
    if path.suffix == ".json":
        # What commands wrote is read without a YAML parser, which takes a hundred times as long.
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(data)
            if isinstance(value, dict) and not str(value.get("kind", "List")).endswith("List"):
                return Manifests((Document(value, Location(str(path)), Lines(1, {})),), ())
    return read(data, str(path))


def _plain(value: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """Return a resource without what the store adds, for comparison."""
    plain = copy.deepcopy(dict(value))
    plain.pop("status", None)
    metadata = plain["metadata"]
    for name in _SERVER_FIELDS:
        metadata.pop(name, None)
    metadata.setdefault("namespace", namespace)
    return plain


def _stamped(value: Mapping[str, Any], key: Key, old: Mapping[str, Any] | None) -> dict[str, Any]:
    stamped = _plain(value, key.namespace)
    before = old["metadata"] if old else {}
    stamped["metadata"] |= {
        "uid": before.get("uid") or str(uuid.uuid4()),
        "creationTimestamp": before.get("creationTimestamp")
        or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "resourceVersion": str(int(before.get("resourceVersion") or 0) + 1),
    }
    return stamped


def _replace(path: Path, value: Mapping[str, Any]) -> None:
    write_atomically(path, json.dumps(value, indent=2).encode() + b"\n")


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file in one step that survives a crash; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    try:
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb"
        ) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise HostError(f"cannot write {path}: {error.strerror}") from error
    _flush_directory(path.parent)


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
