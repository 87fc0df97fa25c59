"""Packs files as an image as `docker save` does, for containerd to import (Docker Image Specification v1.2)."""

import hashlib
import io
import json
import platform
import stat
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True, slots=True)
class Folder:
    """An empty folder."""

    mode: int = 0o755


Tree = Mapping[str, Path | bytes | Link | Folder]
"""What is at each path of an image, without the leading slash: a copy of a file, some text, a link, a folder."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its full name (registry, repository, tag), what is in it, and how it is run."""

    name: str
    tree: Tree = field(repr=False)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""

    def pack(self, path: Path) -> None:
        """Write the archive; the same files make the same bytes."""
        layer = _layer(self.tree)
        name = hashlib.sha256(layer).hexdigest()
        config = json.dumps(self._config(name)).encode()
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        layer_name = f"{name}/layer.tar"
        manifest = [{"Config": config_name, "RepoTags": [self.name], "Layers": [layer_name]}]
        parts = {
            config_name: config,
            layer_name: layer,
            "manifest.json": json.dumps(manifest).encode(),
        }
        with tarfile.open(path, "w") as archive:
            for part, data in parts.items():
                _add(archive, tarfile.TarInfo(part), data)

    def _config(self, layer: str) -> dict[str, Any]:
        run = {
            "Entrypoint": list(self.entrypoint) or None,
            "Cmd": list(self.command) or None,
            "User": self.user,
            "Env": [_PATH],
        }
        return {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        }


def below(folder: Path, at: str) -> Tree:
    """Return all files and links below a folder, for an image that has them at path `at`."""
    return {
        f"{at}/{path.relative_to(folder)}": Link(str(path.readlink()))
        if path.is_symlink()
        else path
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def _layer(tree: Tree) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for parent in sorted(_parents(tree) - set(tree)):
            _add_entry(layer, parent, Folder())
        for path in sorted(tree):
            _add_entry(layer, path, tree[path])
    return buffer.getvalue()


def _parents(paths: Iterable[str]) -> set[str]:
    return {str(each) for path in paths for each in Path(path).parents} - {"."}


def _add_entry(archive: tarfile.TarFile, name: str, entry: Path | bytes | Link | Folder) -> None:
    info = tarfile.TarInfo(name)
    match entry:
        case Link():
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
            archive.addfile(info)
        case Folder():
            info.type, info.mode = tarfile.DIRTYPE, entry.mode
            archive.addfile(info)
        case Path():
            # For all, as the image's user is not the file's owner.
            info.mode = 0o755 if entry.stat().st_mode & stat.S_IXUSR else 0o644
            _add(archive, info, entry.read_bytes())
        case bytes():
            info.mode = 0o644
            _add(archive, info, entry)


def _add(archive: tarfile.TarFile, info: tarfile.TarInfo, data: bytes) -> None:
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
