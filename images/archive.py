"""Packs layers as an image in the format of `docker save`, which containerd and the engines import."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that is packed: what it is called in the history, its archive, and the digest of that."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its full name, its layers with the lowest first, and how it is run."""

    name: str
    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...]
    user: str
    architecture: str
    command: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 0

    def save(self, path: Path) -> bool:
        """Write the archive, if it is not there already, and tell whether it was written."""
        config = json.dumps(self._config(), sort_keys=True).encode()
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        names = [f"{each.digest}/layer.tar" for each in self.layers]
        manifest = json.dumps(
            [{"Config": config_name, "RepoTags": [self.name], "Layers": names}]
        ).encode()
        if _manifest(path) == manifest:
            return False
        new = path.with_name(f".{path.name}.new")
        with tarfile.open(new, "w") as archive:
            _add(archive, config_name, config, self.epoch)
            for name, layer in zip(names, self.layers, strict=True):
                info = _plain(tarfile.TarInfo(name), self.epoch)
                info.size = layer.path.stat().st_size
                with layer.path.open("rb") as file:
                    archive.addfile(info, file)
            # Last: an archive that has it is whole. It names all else by digest.
            _add(archive, "manifest.json", manifest, self.epoch)
        new.replace(path)
        return True

    def _config(self) -> dict[str, Any]:
        created = datetime.fromtimestamp(self.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "created": created,
            "architecture": self.architecture,
            "os": "linux",
            "config": {
                "User": self.user,
                "Env": [_PATH],
                "Entrypoint": list(self.entrypoint),
                "Cmd": list(self.command) or None,
                "WorkingDir": "/",
                "Labels": dict(self.labels),
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{each.digest}" for each in self.layers],
            },
            "history": [{"created": created, "created_by": each.name} for each in self.layers],
        }


def pack(folder: Path, path: Path, epoch: int) -> str:
    """Write all that is below a folder as a layer, and return its digest; the same files make the same bytes.

    Everything belongs to root, so that what runs as another user cannot change it.
    """
    with tarfile.open(path, "w") as archive:
        for each in sorted(folder.rglob("*")):
            info = _plain(archive.gettarinfo(each, str(each.relative_to(folder))), epoch)
            if info.isreg():
                with each.open("rb") as file:
                    archive.addfile(info, file)
            else:
                archive.addfile(info)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def names(path: Path) -> list[str]:
    """Return the paths in a layer."""
    with tarfile.open(path) as archive:
        return [f"/{each}" for each in archive.getnames()]


def _plain(info: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = epoch
    return info


def _add(archive: tarfile.TarFile, name: str, data: bytes, epoch: int) -> None:
    info = _plain(tarfile.TarInfo(name), epoch)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _manifest(path: Path) -> bytes | None:
    """Return what an archive says it holds; None if there is none that is whole."""
    try:
        with tarfile.open(path) as archive:
            file = archive.extractfile("manifest.json")
            return file.read() if file else None
    except (OSError, tarfile.TarError, KeyError):
        return None
