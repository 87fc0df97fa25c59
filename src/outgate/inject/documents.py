"""Adds capture to the workloads in a stream of documents; what is not changed keeps every byte."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outgate.errors import InvalidError
from outgate.inject import pod, rendering
from outgate.inject.options import Options, Sidecar
from outgate.resources.composing import compose
from outgate.resources.documents import Document
from outgate.resources.manifests import read
from outgate.resources.problems import Location, Problem, Severity
from outgate.resources.streams import BREAK, Part, split

_TEMPLATE = ("spec", "template")
# API groups without versions, as the template has been in the same place in all of them.
_WORKLOADS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Pod": (("",), ()),
    "ReplicationController": (("",), _TEMPLATE),
    "Deployment": (("apps", "extensions"), _TEMPLATE),
    "ReplicaSet": (("apps", "extensions"), _TEMPLATE),
    "DaemonSet": (("apps", "extensions"), _TEMPLATE),
    "StatefulSet": (("apps",), _TEMPLATE),
    "Job": (("batch", "extensions"), _TEMPLATE),
    "CronJob": (("batch",), ("spec", "jobTemplate", *_TEMPLATE)),
}
_BEFORE_JSON = re.compile(r"\ufeff?(?:[ \t\r\n]|#[^\r\n]*+|---(?=[ \t\r\n]))*+(?={)")
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Injected:
    """The stream with capture, and a line for each workload that is left alone or may not work as meant."""

    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """The text of one document, or of what stands between two."""

    text: str
    line: int
    is_json: bool


@dataclass(frozen=True, slots=True)
class _Decision:
    """What happens to one document; `path` leads to the template that gets capture, None: to none."""

    path: tuple[str, ...] | None
    notes: tuple[str, ...] = ()


def inject(text: str, file: str, options: Options) -> Injected:
    """Add capture to every workload in `text`; `file` names it in messages.

    InvalidError, with every problem, if a document cannot be read, or a workload not be changed.
    """
    texts: list[str] = []
    notes: list[str] = []
    problems: list[Problem] = []
    for part in split(text):
        for piece in _pieces(part):
            try:
                done = _inject(piece, file, options)
            except InvalidError as error:
                problems.extend(each for each in error.problems if isinstance(each, Problem))
                continue
            texts.append(done.text)
            notes.extend(done.notes)
    if problems:
        raise InvalidError(problems)
    return Injected("".join(texts), tuple(notes))


def joined(texts: list[str]) -> str:
    """Join the streams of several files, with `---` between where none begins one."""
    result = ""
    for text in texts:
        if result and text:
            result += "" if result.endswith("\n") else "\n"
            result += "" if text.startswith("---") else "---\n"
        result += text
    return result


def _pieces(part: Part) -> Iterator[_Piece]:
    """Cut apart JSON objects that follow each other without `---`; the pieces joined are the part again."""
    before = _BEFORE_JSON.match(part.text)
    if before is None:
        yield _Piece(part.text, part.line, is_json=False)
        return
    spans: list[tuple[int, int]] = []
    position = before.end()
    while position < len(part.text):
        try:
            _, end = json.JSONDecoder().raw_decode(part.text, position)
        except (ValueError, RecursionError):
            break
        spans.append((position, end))
        space = _SPACE.match(part.text, end)
        position = space.end() if space else end
    done = 0
    for begin, end in spans:
        line = part.line + len(BREAK.findall(part.text, 0, done))
        if begin > done:
            yield _Piece(part.text[done:begin], line, is_json=False)
        line = part.line + len(BREAK.findall(part.text, 0, begin))
        yield _Piece(part.text[begin:end], line, is_json=True)
        done = end
    if done < len(part.text):
        line = part.line + len(BREAK.findall(part.text, 0, done))
        yield _Piece(part.text[done:], line, is_json=False)


def _inject(piece: _Piece, file: str, options: Options) -> Injected:
    manifests = read(piece.text, file)
    if manifests.problems:
        raise InvalidError([_moved(each, piece) for each in manifests.problems])
    decisions = [_decide(each, piece, options) for each in manifests.documents]
    notes = tuple(note for each in decisions for note in each.notes)
    if all(each.path is None for each in decisions):
        return Injected(piece.text, notes)
    if piece.is_json:
        changed = _changed(json.loads(piece.text), iter(decisions), options)
        return Injected(rendering.as_json(changed, piece.text), notes)
    composed = compose(Part(piece.text, piece.line), file)
    changed = _changed(composed[0] if composed else None, iter(decisions), options)
    return Injected(rendering.as_yaml(changed, piece.text), notes)


def _moved(problem: Problem, piece: _Piece) -> Problem:
    where = Location(problem.location.file, problem.location.line + piece.line - 1)
    return Problem(
        where, problem.resource, problem.path, problem.message, problem.hint, problem.severity
    )


def _decide(document: Document, piece: _Piece, options: Options) -> _Decision:
    path = _template_path(document.value)
    if path is None:
        return _Decision(None)
    prefix = ".".join(path)

    def note(below: str, message: str, severity: Severity = Severity.WARNING) -> Problem:
        field = f"{prefix}.{below}" if prefix and below else prefix or below
        where = document.location_of(field)
        return _moved(Problem(where, document.resource, field, message, "", severity), piece)

    template = _at(document.value, path)
    if not isinstance(template, dict):
        message = "a workload needs a pod template"
        raise InvalidError([note("", message, Severity.ERROR)])
    if reason := pod.reason_to_skip(template):
        line = document.location.line + piece.line - 1
        return _Decision(
            None,
            (
                f"{Location(document.location.file, line)}: {document.resource}: left alone: {reason}",
            ),
        )
    if found := pod.problem(template):
        raise InvalidError([note(*found, Severity.ERROR)])
    said = [str(note(*each)) for each in pod.warnings(template, options)]
    if document.value["kind"] in ("Job", "CronJob") and options.sidecar is Sidecar.CONTAINER:
        message = "it will not end, as the sidecar goes on; use --sidecar=native"
        said.append(str(note("", message)))
    return _Decision(path, tuple(said))


def _template_path(value: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return where a workload's pod template is, None for what is not a workload."""
    kind, version = value.get("kind"), value.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(version, str) or kind not in _WORKLOADS:
        return None
    groups, path = _WORKLOADS[kind]
    return path if version.rpartition("/")[0] in groups else None


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _changed(value: Any, decisions: Iterator[_Decision], options: Options) -> Any:
    """Return a document, or a list's items, as decided: `read` gave them in the order in which they stand here."""
    if _is_list(value):
        items = value.get("items")
        changed = items and [_changed(each, decisions, options) for each in items]
        return {**value, "items": changed} if changed else value
    path = next(decisions).path
    return value if path is None else _replaced(value, path, options)


def _is_list(value: Mapping[str, Any]) -> bool:
    """Whether `read` takes it apart."""
    kind = value.get("kind")
    if not isinstance(kind, str) or not kind.endswith("List"):
        return False
    return kind == "List" or isinstance(value.get("items", ""), list | None)


def _replaced(value: dict[str, Any], path: tuple[str, ...], options: Options) -> dict[str, Any]:
    if not path:
        return pod.inject(value, options)
    return value | {path[0]: _replaced(value[path[0]], path[1:], options)}
