"""What users are told of each resource by Events, without I/O: only what is new, and nothing twice.

A resource is accepted or rejected by what it says; an accepted one is programmed once every egress Envoy has
acknowledged it, or rejected by one of them. What was said is kept, and read back by a replica that begins to lead.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from outgate.model.declarations import Source
from outgate.model.destinations import Destination, External, Port
from outgate.resources.problems import Problem, Severity

ACCEPTED, PROGRAMMED, REJECTED = "Accepted", "Programmed", "Rejected"
VALIDATE, PROGRAM = "Validate", "Program"
"""What the controller did when it came to say something: read the resource, or had Envoy take it."""
NOTE_BYTES = 1024
"""The API server takes no longer note."""


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that is said of a resource."""

    action: str
    reason: str
    note: str

    @property
    def is_warning(self) -> bool:
        """Whether something is to be done about it."""
        return self.reason == REJECTED

    def same(self, other: "Message") -> bool:
        """Whether it says the same: that a resource is programmed is one thing, however it is worded."""
        one, two = (self.action, self.reason), (other.action, other.reason)
        return one == two and (self.reason == PROGRAMMED or self.note == other.note)


@dataclass(frozen=True, slots=True)
class Said:
    """The last that was said of a resource: the verdict on it, and what became of it at the Envoys since."""

    verdict: Message | None = None
    outcome: Message | None = None

    def and_then(self, message: Message) -> "Said":
        """Return what stands after one more message."""
        if message.action == VALIDATE:
            return Said(message)
        return Said(self.verdict, message)

    def missing(self, wanted: "Said") -> tuple[Message, ...]:
        """Return what of `wanted` was not said yet, in order."""
        parts = (wanted.verdict, wanted.outcome)
        if _differs(wanted.verdict, self.verdict):
            return tuple(each for each in parts if each is not None)
        outcome = wanted.outcome
        return (outcome,) if outcome is not None and _differs(outcome, self.outcome) else ()


def _differs(one: Message | None, other: Message | None) -> bool:
    return one is not None and (other is None or not one.same(other))


@dataclass(frozen=True, slots=True)
class Judged:
    """A resource as it is now; `version` is the resourceVersion at which it became what it is.

    `content` is what it declares, or says.
    """

    uid: str
    version: int
    verdict: Message
    content: object = None
    on_demand: bool = False
    api_version: str = "v1"

    def declares(self, other: "Judged") -> bool:
        """Whether both are one resource that declares the same, whatever else about it has changed."""
        one, two = (self.uid, self.verdict), (other.uid, other.verdict)
        return one == two and self.content == other.content


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be said of a resource now."""

    source: Source
    uid: str
    messages: tuple[Message, ...]
    api_version: str = "v1"


def judge(
    metadata: Mapping[str, Any],
    destination: Destination | None,
    problems: Iterable[Problem],
    *,
    on_demand: bool = False,
) -> Judged | None:
    """Return what becomes of a Service with this metadata; None if it is none of our business.

    `destination` is what it declares, if that is valid, and `problems` what is wrong with it.
    """
    found = tuple(problems)
    if (rejected := _rejected(metadata, found)) is not None:
        return rejected
    if destination is None:
        return None
    uid, version = str(metadata.get("uid", "")), number(metadata.get("resourceVersion"))
    host = destination.host if isinstance(destination, External) else "pods"
    ports = ", ".join(_port(each) for each in destination.ports)
    warnings = "".join(f"; {_problem(each)}" for each in found)
    said = note(f"calls to {destination.name} go to {host}: {ports}{warnings}")
    return Judged(uid, version, Message(VALIDATE, ACCEPTED, said), destination, on_demand)


def judge_other(item: Mapping[str, Any], problems: Iterable[Problem]) -> Judged:
    """Return what becomes of a resource that is not a Service."""
    version = str(item.get("apiVersion", ""))
    metadata, found = item["metadata"], tuple(problems)
    if (rejected := _rejected(metadata, found)) is not None:
        return replace(rejected, api_version=version)
    said = note("; ".join(map(_problem, found)) or "it is valid, and takes effect")
    return Judged(
        uid=str(metadata.get("uid", "")),
        version=number(metadata.get("resourceVersion")),
        verdict=Message(VALIDATE, ACCEPTED, said),
        content=item.get("spec"),
        api_version=version,
    )


def _rejected(metadata: Mapping[str, Any], problems: Iterable[Problem]) -> Judged | None:
    errors = [each for each in problems if each.severity is Severity.ERROR]
    if not errors:
        return None
    uid, version = str(metadata.get("uid", "")), number(metadata.get("resourceVersion"))
    said = note("; ".join(map(_problem, errors)))
    return Judged(uid, version, Message(VALIDATE, REJECTED, said))


def number(version: object) -> int:
    """Read a resourceVersion, which grows with each change; 0 if it is not a number."""
    text = str(version or "")
    return int(text) if text.isdecimal() else 0


def _port(port: Port) -> str:
    return f"port {port.number} ({port.protocol.value})"


def _problem(problem: Problem) -> str:
    said = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return f"{said} ({problem.hint})" if problem.hint else said


def note(text: str) -> str:
    """Shorten a text to what the API server takes, without line breaks."""
    data = " ".join(text.split()).encode()
    if len(data) <= NOTE_BYTES:
        return data.decode()
    return data[: NOTE_BYTES - 3].decode(errors="ignore") + "..."


@dataclass(slots=True)
class Reports:
    """All resources that are any of our business, what was said of them, and of which something is to be said."""

    judged: dict[Source, Judged] = field(default_factory=dict)
    programmed: set[Source] = field(default_factory=set)
    refused: dict[Source, str] = field(default_factory=dict)
    """Envoy's words about a resource."""
    said: dict[str, Said] = field(default_factory=dict)
    """By uid."""
    waiting: dict[Source, None] = field(default_factory=dict)
    """Of whom something may be to be said; first come, first served."""
    news: dict[Source, None] = field(default_factory=dict)
    """Whose status may be another since this was last taken and emptied."""
    _versions: dict[str, list[tuple[int, Source]]] = field(default_factory=dict)
    """Those that are not programmed yet: a heap for each kind."""

    def change(self, name: Source, judged: Judged | None) -> None:
        """Take in a resource as it is now; None if it is gone, or none of our business."""
        before = self.judged.get(name)
        if judged is None or (before is not None and before.uid != judged.uid):
            self._forget(name)
        if judged is None or (before is not None and before.declares(judged)):
            return
        self.judged[name] = judged
        self.programmed.discard(name)
        self.waiting[name] = None
        if judged.verdict.reason == ACCEPTED:
            heapq.heappush(self._versions.setdefault(name.kind, []), (judged.version, name))

    def _forget(self, name: Source) -> None:
        before = self.judged.pop(name, None)
        self.programmed.discard(name)
        self.waiting.pop(name, None)
        if before is not None:
            self.said.pop(before.uid, None)

    def reached(self, versions: Mapping[str, int] | None, refused: Mapping[Source, str]) -> None:
        """Take in how far all egress Envoys are, and what they refuse at present; None: there is none."""
        for name in refused.keys() ^ self.refused.keys():
            self._again(name)
        self.refused = dict(refused)
        for kind, version in (versions or {}).items():
            waiting = self._versions.get(kind, [])
            while waiting and waiting[0][0] <= version:
                at, name = heapq.heappop(waiting)
                found = self.judged.get(name)
                if found is not None and found.version == at and found.verdict.reason == ACCEPTED:
                    self.programmed.add(name)
                    self._again(name)

    def _again(self, name: Source) -> None:
        self.news[name] = None
        if name in self.judged:
            self.waiting[name] = None

    def restore(self, said: Mapping[str, Said]) -> None:
        """Begin to lead: take in what was said by whoever led before, and look at all."""
        uids = {each.uid for each in self.judged.values()}
        self.said = {uid: each for uid, each in said.items() if uid in uids}
        self.waiting = dict.fromkeys(self.judged)

    def next(self) -> Due | None:
        """Return of whom something is to be said now; `done` is to follow."""
        while self.waiting:
            name = next(iter(self.waiting))
            found = self.judged[name]
            said = self.said.get(found.uid, Said())
            if new := said.missing(self._wanted(name, found)):
                return Due(name, found.uid, new, found.api_version)
            del self.waiting[name]
        return None

    def done(self, due: Due, message: Message) -> None:
        """Note that this was said."""
        found = self.judged.get(due.source)
        if found is not None and found.uid == due.uid:
            self.said[due.uid] = self.said.get(due.uid, Said()).and_then(message)

    def postpone(self, name: Source) -> None:
        """Put it behind the others."""
        if name in self.waiting:
            del self.waiting[name]
            self.waiting[name] = None

    def give_up(self, name: Source) -> None:
        """Say nothing of it until it changes."""
        self.waiting.pop(name, None)

    def _wanted(self, name: Source, found: Judged) -> Said:
        if found.verdict.reason == REJECTED:
            return Said(found.verdict)
        if name in self.refused:
            said = note(f"Envoy refused it: {self.refused[name]}")
            return Said(found.verdict, Message(PROGRAM, REJECTED, said))
        if name not in self.programmed:
            return Said(found.verdict)
        said = "every connected egress Envoy has it"
        if found.on_demand:
            said = "every connected egress Envoy has its routes, and fetches the rest at the first call"
        return Said(found.verdict, Message(PROGRAM, PROGRAMMED, said))
