"""Reads the manifests that a command was given: files, folders, standard input, pipes such as `<(...)`."""

import sys
from pathlib import Path

from outgate.errors import UsageError
from outgate.resources.documents import Document
from outgate.resources.kinds import Resources, parse
from outgate.resources.manifests import Manifests, read
from outgate.resources.problems import Problem, Severity

SUFFIXES = (".yaml", ".yml", ".json")


def contents(names: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """Return each file's name and content; folders give their manifests, `-` is standard input."""
    if not names:
        raise UsageError(
            "no manifest is given", hint="-f FILE, -f FOLDER, or -f - for standard input"
        )
    found: list[tuple[str, bytes]] = []
    for name in names:
        path = Path(name)
        if name == "-":
            found.append(("-", sys.stdin.buffer.read()))
        elif path.is_dir():
            files = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
            found += [(str(each), each.read_bytes()) for each in files]
        else:
            try:
                found.append((name, path.read_bytes()))
            except OSError as error:
                raise UsageError(f"{name}: {error.strerror}") from error
    return found


def documents(names: tuple[str, ...]) -> Manifests:
    """Read them all."""
    parts = [read(data, name) for name, data in contents(names)]
    return Manifests(
        tuple(each for part in parts for each in part.documents),
        tuple(each for part in parts for each in part.problems),
    )


def resources(manifests: Manifests, namespace: str) -> tuple[Resources, tuple[Problem, ...]]:
    """Parse them, and return all problems in the order of the files."""
    parsed = parse(manifests.documents, namespace)
    problems = (*manifests.problems, *parsed.problems)
    return parsed, tuple(sorted(problems, key=lambda each: (each.location, each.path)))


def valid(manifests: Manifests, namespace: str) -> tuple[list[Document], tuple[Problem, ...]]:
    """Return the documents that may be written, and everything that is wrong with any."""
    parsed, problems = resources(manifests, namespace)
    return list(parsed.accepted), problems


def has_errors(problems: tuple[Problem, ...]) -> bool:
    """Whether one of them is more than a warning."""
    return any(each.severity is Severity.ERROR for each in problems)
