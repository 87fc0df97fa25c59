"""What is taken from Debian's packages: files by the lists that dpkg keeps, libraries by what the loader finds."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from images.commands import CLEAN, BuildError, run
from images.rootfs import Rootfs

_LIBRARY = re.compile(r"(/\S+) \(0x")
_MISSING = re.compile(r"(\S+) => not found")
# glibc opens them by name, so that the loader does not show them; the first three are inside of newer ones.
_BY_NAME = ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2", "libgcc_s.so.1")


def architecture() -> str:
    """Return this machine's architecture as images call it; for those with 64 bits that is Debian's name."""
    return run("dpkg", "--print-architecture", environment=CLEAN).strip()


def versions() -> str:
    """Return all installed packages with their versions: while that is the same, so are their files."""
    try:
        return run("dpkg-query", "-W", environment=CLEAN)
    except BuildError as error:
        message = "only Debian has what the images are made from: use --engine"
        raise BuildError(f"{error}; {message}") from error


def copy(root: Rootfs, package: str, wanted: Callable[[str], bool]) -> None:
    """Copy the files of a package that are wanted; BuildError if it is not installed, or has none of them."""
    try:
        listed = run("dpkg-query", "-L", package, environment=CLEAN).splitlines()
    except BuildError as error:
        raise BuildError(
            f"the Debian package {package} is missing: apt-get install {package}"
        ) from error
    found = [
        each for each in listed if each.startswith("/") and wanted(each) and not _is_folder(each)
    ]
    if not found:
        raise BuildError(f"the Debian package {package} has none of the files that the image needs")
    for each in found:
        root.copy(each)
    describe(root, {package})


def copy_libraries(root: Rootfs, present: Iterable[str] = ()) -> None:
    """Copy what all programs and libraries of the layer load, but for paths that a lower layer has."""
    have = set(present)
    loaded = _libraries(root)
    near = {
        f"{Path(each).parent}/{name}" for each in loaded if "/libc.so." in each for name in _BY_NAME
    }
    # By the path that it is listed under: the package that it comes from is found by that.
    new = sorted(
        each
        for each in loaded | {each for each in near if Path(each).exists()}
        if _real(each) not in have
    )
    for each in new:
        root.copy(each)
    describe(root, _owners(new))


def describe(root: Rootfs, packages: Iterable[str]) -> None:
    """Write down which version of a package this is, where scanners look for it, with its licence."""
    for package in sorted(packages):
        root.write(
            f"/var/lib/dpkg/status.d/{package}", run("dpkg-query", "-s", package, environment=CLEAN)
        )
        copyright_file = f"/usr/share/doc/{package}/copyright"
        # Where the folder is a link to another package's, the file is copied.
        root.copy(copyright_file, Path(copyright_file))


def certificates() -> str:
    """Return the bundle of certificate authorities as Debian has it: this machine may trust others besides."""
    package = "ca-certificates"
    listed = run("dpkg-query", "-L", package, environment=CLEAN).splitlines()
    # There is an example among its documentation, too.
    found = sorted(
        each
        for each in listed
        if each.startswith("/usr/share/ca-certificates/") and each.endswith(".crt")
    )
    if not found:
        raise BuildError(f"the Debian package {package} has no certificates")
    return "".join(Path(each).read_text(encoding="ascii").strip() + "\n" for each in found)


def _libraries(root: Rootfs) -> set[str]:
    """Return the paths of this machine's libraries that are loaded; BuildError if one is not there."""
    programs = [str(each) for each in root.programs()]
    if not programs:
        return set()
    said = run("ldd", *programs, environment=CLEAN, ok=(0, 1))
    if missing := set(_MISSING.findall(said)):
        raise BuildError(f"libraries are missing on this machine: {', '.join(sorted(missing))}")
    return {each for each in _LIBRARY.findall(said) if not each.startswith(f"{root.folder}/")}


def _owners(paths: Iterable[str]) -> set[str]:
    """Return the packages that files come from; BuildError for one that comes from none."""
    # A package may list a file below /lib that is below /usr/lib where that is merged, or the other way round.
    known = {each: {each, _real(each), _real(each).removeprefix("/usr")} for each in paths}
    if not known:
        return set()
    asked = sorted(set().union(*known.values()))
    lines = run("dpkg-query", "-S", *asked, environment=CLEAN, ok=(0, 1)).splitlines()
    owners = {path: owner for owner, _, path in (line.rpartition(": ") for line in lines)}
    found = set()
    for path, names in known.items():
        owner = next((owners[each] for each in names if each in owners), "")
        if not owner:
            raise BuildError(f"{path} is from no Debian package")
        found.add(owner.partition(",")[0].partition(":")[0])
    return found


def _real(path: str) -> str:
    return f"{Path(path).parent.resolve()}/{Path(path).name}"


def _is_folder(path: str) -> bool:
    return Path(path).is_dir() and not Path(path).is_symlink()
