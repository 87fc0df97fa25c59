"""What each layer of the images holds: `python3.11 -m images.layers NAME FOLDER` fills a folder with one.

The image `outgate` has three, the one that changes most often on top: what Debian brings, the Python packages, Outgate.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from images import debian, python
from images.commands import BuildError
from images.rootfs import Rootfs

NAMES = ("base", "packages", "outgate")
"""The layers of the image `outgate`, the lowest first."""

# Not for services, and several need large libraries: nis alone, those of Kerberos.
_MODULES = re.compile(
    r"/usr/lib/python3\.11/("
    r"(test|distutils|pydoc_data|turtledemo|lib2to3|venv|curses|sqlite3|dbm)/|(turtle|sitecustomize)\.py$"
    r"|lib-dynload/(_curses\w*|_g?dbm|_sqlite3|_\w*test\w*|nis|ossaudiodev|readline|xx\w*)\.)"
)
_IPTABLES = re.compile(
    r"/usr/sbin/(xtables-legacy-multi|ip6?tables-legacy(-save|-restore)?)$|.*/xtables/lib\w+\.so$"
)
_LAUNCHER = f"""#!{python.INTERPRETER} -IB
import sys

from outgate.__main__ import main

sys.exit(main())
"""


def base(root: Rootfs) -> None:
    """Fill the lowest layer: Python, nft and iptables with their libraries, users, certificates."""
    _common(root, {65532: "outgate"})
    for package in ("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"):
        debian.copy(root, package, _is_python)
    root.compile("/usr/lib/python3.11")
    debian.copy(root, "nftables", lambda path: path == "/usr/sbin/nft")
    # Used where nft does not work, so on kernels without nf_tables: iptables-nft would not work there either.
    debian.copy(root, "iptables", lambda path: _IPTABLES.match(path) is not None)
    for name in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            root.link(f"/usr/sbin/{name}{suffix}", "xtables-legacy-multi")
    debian.copy_libraries(root)


def packages(root: Rootfs, project: Path, present: Iterable[str]) -> None:
    """Fill the layer of Python packages, with what they load that is not `present` in the base."""
    python.install_packages(root, project)
    debian.copy_libraries(root, present)


def outgate(root: Rootfs, project: Path, tools: Path) -> None:
    """Fill the layer of Outgate itself."""
    python.install_project(root, project, tools)
    root.write("/usr/local/bin/outgate", _LAUNCHER, program=True)


def envoy(root: Rootfs, binary: Path) -> None:
    """Fill the one layer of a stand-in for Envoy's own image."""
    _common(root, {101: "envoy"})
    root.make("/etc/envoy")
    root.copy("/usr/local/bin/envoy", binary)
    debian.copy_libraries(root)


def _common(root: Rootfs, users: Mapping[int, str]) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            root.make(f"/usr/{name}")
            root.link(f"/{name}", f"usr/{name}")
    for name in ("/dev", "/etc", "/proc", "/run", "/sys", "/var/lib"):
        root.make(name)
    for name in ("/tmp", "/var/tmp"):  # noqa: S108 - in the image
        root.make(name, 0o1777)
    root.make("/root", 0o755)
    root.link("/var/run", "/run")
    everybody = {0: "root"} | dict(users) | {65534: "nobody"}
    accounts = [
        f"{name}:x:{uid}:{uid}::{_home(uid)}:/sbin/nologin\n" for uid, name in everybody.items()
    ]
    root.write("/etc/passwd", "".join(accounts))
    root.write("/etc/group", "".join(f"{name}:x:{uid}:\n" for uid, name in everybody.items()))
    root.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    root.write("/etc/ssl/certs/ca-certificates.crt", debian.certificates())
    # Where OpenSSL looks.
    root.link("/usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")
    debian.describe(root, {"ca-certificates"})
    debian.copy(root, "netbase", lambda path: path in {"/etc/protocols", "/etc/services"})
    debian.copy(
        root,
        "base-files",
        lambda path: path == "/usr/lib/os-release" or "/common-licenses/" in path,
    )
    root.link("/etc/os-release", "../usr/lib/os-release")


def _home(uid: int) -> str:
    return "/" if uid else "/root"


def _is_python(path: str) -> bool:
    if path == python.INTERPRETER:
        return True
    return path.startswith("/usr/lib/python3.11/") and not _MODULES.match(path)


def main() -> int:
    """Fill a folder with a layer, as the Containerfile does."""
    parser = argparse.ArgumentParser(
        prog="images.layers", description="Fills a folder with a layer of the image."
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--over", type=Path, help="folder with the layer below")
    parser.add_argument(
        "--epoch", type=int, default=0, help="time of all files, in seconds since 1970"
    )
    given = parser.parse_args()
    project = Path(__file__).parent.parent
    root = Rootfs(given.folder.resolve())
    root.make("/")
    try:
        match given.name:
            case "base":
                base(root)
            case "packages":
                below = Rootfs(given.over.resolve())
                packages(
                    root,
                    project,
                    (f"/{each.relative_to(below.folder)}" for each in below.folder.rglob("*")),
                )
            case _:
                tools = given.folder.with_name("tools")
                python.install_tools(tools, project)
                outgate(root, project, tools)
        root.finish(given.epoch)
    except BuildError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
