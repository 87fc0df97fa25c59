"""The images that every cluster has, made from this machine's own programs: there is no registry.

Another image is one more entry of `images`, or an archive that a test gives to `Cluster.import_image`.
"""

import re
import shutil
from pathlib import Path

from tests.cluster import builds
from tests.cluster.archive import Folder, Image, Link
from tests.cluster.caches import cache, key, once
from tests.cluster.commands import ENVIRONMENT, ClusterError, run

from outgate.inject.options import Options

PAUSE = "localhost/pause:1"
CURL = "docker.io/curlimages/curl:latest"
"""Under its full name, so that manifests that name `curlimages/curl` are served unchanged (IfNotPresent)."""
NET = "localhost/net:1"
"""With nft, ip and ss."""
COREDNS = Options().coredns_image

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_LIBRARY = re.compile(r"(/\S+) \(0x")
# glibc opens them by name, so that `ldd` does not show them (and newer ones have them inside).
_RESOLVERS = ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2")


def sandbox() -> Image:
    """Return what containerd makes each pod's namespaces with: part of the cluster."""
    return Image(PAUSE, {"pause": builds.program("pause")}, entrypoint=("/pause",))


def images() -> list[Image]:
    """Return what tests may use in any cluster."""
    return [
        # As in the published image, which does not run as root.
        Image(CURL, base() | programs("curl"), command=("curl",), user="curl_user"),
        Image(NET, base() | programs("nft", "ip", "ss")),
        # Not root, as the published one.
        Image(COREDNS, {"coredns": builds.program("coredns")}, ("/coredns",), user="65532:65532"),
    ]


def archives(wanted: list[Image]) -> list[Path]:
    """Return an archive of each image, made anew where a file in one is another than before."""
    found = []
    for image in wanted:
        folder = cache() / f"image-{_key(image)}"
        with once(folder) as new:
            if new is not None:
                image.pack(new / "image.tar")
        found.append(folder / "image.tar")
    return found


def base() -> dict[str, Path | bytes | Link | Folder]:
    """Return what an image needs to be worked in: a shell and the usual commands, users, certificates."""
    busybox = _find("busybox")
    names = run(str(busybox), "--list").split()
    return {
        **programs("busybox", "sh"),
        **{f"bin/{name}": Link(str(busybox)) for name in names if name != "busybox"},
        # Not its own shell, which prefers its own `ip` and such to all others.
        "bin/sh": Link(str(_find("sh"))),
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\ncurl_user:x:100:101::/home/curl_user:/bin/sh\n",
        "etc/group": b"root:x:0:\ncurl_group:x:101:\n",
        "etc/nsswitch.conf": b"hosts: files dns\n",
        str(_CERTIFICATES).lstrip("/"): _CERTIFICATES,
        "tmp": Folder(0o1777),
        "root": Folder(0o700),
        **{name: Folder() for name in ("proc", "sys", "dev", "run", "home/curl_user")},
    }


def programs(*names: str) -> dict[str, Path | bytes | Link | Folder]:
    """Return programs of this machine, with the libraries that they need, at the same paths."""
    tree: dict[str, Path | bytes | Link | Folder] = {}
    for name in names:
        path = _find(name)
        tree[str(path).lstrip("/")] = path
        for library in _libraries(path):
            tree[str(library).lstrip("/")] = library
            if library.name.startswith("libc.so"):
                near = (library.with_name(each) for each in _RESOLVERS)
                tree |= {str(each).lstrip("/"): each for each in near if each.exists()}
    return tree


def _find(name: str) -> Path:
    found = shutil.which(name, path=ENVIRONMENT["PATH"])
    if found is None:
        raise ClusterError(f"{name} is missing: `make cluster-debian` installs it")
    return Path(found).resolve()


def _libraries(program: Path) -> list[Path]:
    """Return what a program loads, the loader included; nothing for a static one."""
    try:
        return [Path(each) for each in _LIBRARY.findall(run("ldd", str(program)))]
    except ClusterError:
        return []


def _key(image: Image) -> str:
    packer = Path(__file__).with_name("archive.py").read_bytes()
    files = [
        (f"{path} {entry!r}".encode(), entry.read_bytes() if isinstance(entry, Path) else b"")
        for path, entry in sorted(image.tree.items())
    ]
    return key(packer, repr(image).encode(), *(part for file in files for part in file))
