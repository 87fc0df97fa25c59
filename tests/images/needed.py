"""What a part of Outgate imports, at once or later, found by reading it."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import outgate

SOURCE = Path(outgate.__file__).parent.parent
# Their commands are the image's; `common` has the local mesh's as well, which it only imports for them.
ROOTS = ("outgate.__main__", "outgate.cli.main", "outgate.cli.capturing", "outgate.cli.controlling")


def modules() -> tuple[set[str], set[str]]:
    """Return the modules of Outgate that the controller and the init container import, and the packages of others."""
    own, others, left = set[str](), set[str](), list(ROOTS)
    while left:
        name = left.pop()
        path = _path(name)
        if path is None or name in own:
            continue
        own.add(name)
        left += [name.rpartition(".")[0]]
        for each in _imported(ast.parse(path.read_text())):
            if each.partition(".")[0] == "outgate":
                left.append(each)
            else:
                others.add(each.partition(".")[0])
    return own, others - sys.stdlib_module_names


def distributions(packages: set[str]) -> set[str]:
    """Return the names of what installs packages; those of several are said to be of each."""
    known = packages_distributions()
    return {each.lower() for name in packages for each in known[name]}


def _path(name: str) -> Path | None:
    path = SOURCE.joinpath(*name.split(".")) if name else None
    found = (path / "__init__.py", path.with_suffix(".py")) if path else ()
    return next((each for each in found if each.exists()), None)


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (each.name for each in node.names)
            case ast.ImportFrom(module=str(module)):
                yield module
                yield from (f"{module}.{each.name}" for each in node.names)
            case _:
                pass
