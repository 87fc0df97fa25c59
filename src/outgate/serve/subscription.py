"""One proxy's subscription to one type, as the delta xDS protocol defines it, without I/O.

Whoever owns it feeds it requests and changes, and asks `next` what is to be sent. At most one
response is under way, so that a slow proxy costs no more memory than the names it subscribed to:
changes meanwhile are only noted by name.

Envoy may drop a whole response for one bad resource in it, and its words need not name it. So what
was refused together is sent again in parts, until the bad resource has been refused alone; all
others are in place by then.
"""

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from outgate.xds.snapshot import Resource, Snapshot

WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class Request:
    """What a proxy said: `nonce` is empty unless it answers a response, `error` unless a NACK."""

    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = field(default_factory=dict)
    nonce: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """What is to be sent."""

    nonce: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...]
    revision: int
    """The revision that the proxy is at when it has answered this."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A NACK: which resources, and Envoy's words."""

    names: tuple[str, ...]
    message: str


class State(enum.StrEnum):
    """What a proxy made of a resource; one that comes on demand it may not have asked for yet."""

    ACKNOWLEDGED = "acknowledged"
    PENDING = "pending"
    REFUSED = "refused"
    UNASKED = "unasked"


@dataclass(frozen=True, slots=True)
class _Refused:
    version: str
    message: str


@dataclass(frozen=True, slots=True)
class _Before:
    """What was known of a resource when it was sent."""

    version: str | None
    asked: bool


@dataclass(slots=True)
class Subscription:
    """One type on one stream."""

    type_url: str
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    known: dict[str, str] = field(default_factory=dict)
    """Versions that the proxy has, or is being sent."""
    acknowledged: int = -1
    """The revision up to which the proxy has answered for everything."""
    responses: int = 0
    _refused: dict[str, _Refused] = field(default_factory=dict)
    """What the proxy refused: it is not sent again until it changes."""
    _asked: set[str] = field(default_factory=set)
    """Names that want an answer, also if the proxy has that version, or if there is no such one."""
    _dirty: set[str] = field(default_factory=set)
    _held: set[str] = field(default_factory=set)
    """What is gone, but was not to be removed yet."""
    _suspects: list[frozenset[str]] = field(default_factory=list)
    """Parts of a refused response, each to be sent by itself."""
    _started: bool = False
    _greet: bool = False
    _under_way: Response | None = None
    _before: dict[str, _Before] = field(default_factory=dict)

    @property
    def is_waiting(self) -> bool:
        """Whether a response has not been answered yet."""
        return self._under_way is not None

    @property
    def held(self) -> int:
        """How many names the proxy has us keep."""
        return max(len(self.names), len(self.known), len(self._asked))

    def refusals(self) -> tuple[Refusal, ...]:
        """Return what the proxy refuses at present, by name."""
        return tuple(Refusal((name,), each.message) for name, each in sorted(self._refused.items()))

    def receive(self, request: Request, snapshot: Snapshot) -> None:
        """Take in what the proxy said; an answer to any but the last response is ignored."""
        if not self._started:
            self._start(request, snapshot)
        elif request.nonce and self._under_way and request.nonce == self._under_way.nonce:
            self._answer(self._under_way, request.error)
        self._subscribe(request.subscribe, snapshot)
        self._unsubscribe(request.unsubscribe)
        # What the proxy brought along needs no answer if it is still right.
        self._asked.difference_update(request.initial_versions)

    def _start(self, request: Request, snapshot: Snapshot) -> None:
        self._started = True
        self.known = dict(request.initial_versions)
        self._dirty |= set(self.known)
        # A first request that names nothing asks for everything: the protocol's older form of "*".
        if not request.subscribe:
            self._subscribe((WILDCARD,), snapshot)
        # Envoy's start-up waits for an answer, also where there is nothing to be had.
        everything = not request.subscribe or WILDCARD in request.subscribe
        self._greet = everything and not request.initial_versions

    def _subscribe(self, names: Iterable[str], snapshot: Snapshot) -> None:
        for name in names:
            if name == WILDCARD:
                self.wildcard = True
                self._dirty |= set(snapshot.of_type(self.type_url))
            else:
                self.names.add(name)
                self._asked.add(name)
                self._dirty.add(name)

    def _unsubscribe(self, names: Iterable[str]) -> None:
        for name in names:
            if name == WILDCARD:
                self.wildcard = False
                self.known = {each: self.known[each] for each in self.names & self.known.keys()}
                continue
            self.names.discard(name)
            self._asked.discard(name)
            self._refused.pop(name, None)
            self.known.pop(name, None)
            if self.wildcard:
                # The protocol wants to hear whether the name goes on as part of everything.
                self._asked.add(name)
                self._dirty.add(name)

    def _answer(self, sent: Response, error: str) -> None:
        self._under_way = None
        if error and sent.resources:
            self._undo()
            self._suspect(sent, error)
        if not self._suspects:
            self.acknowledged = sent.revision
        self._before = {}

    def _undo(self) -> None:
        for name, before in self._before.items():
            if before.version is None:
                self.known.pop(name, None)
            else:
                self.known[name] = before.version
            if before.asked:
                self._asked.add(name)

    def _suspect(self, sent: Response, error: str) -> None:
        parts = _parts(tuple(each.name for each in sent.resources), error)
        if len(parts) == 1:
            only = sent.resources[0]
            self._refused[only.name] = _Refused(only.version, error)
            # Who waits for it by name learns that it is not to be had.
            parts = [frozenset({only.name} & self._asked)]
        parts.append(frozenset(sent.removed))
        self._suspects[:0] = [part for part in parts if part]

    def change(self, names: Iterable[str]) -> None:
        """Note that resources of this type changed, came or went."""
        self._dirty.update(names)

    def has_news(self, snapshot: Snapshot) -> bool:
        """Whether there is something to send, other than removals that are held back."""
        added, removed = self._wanted(snapshot)
        return bool(added or removed)

    def is_settled(self, names: frozenset[str], snapshot: Snapshot) -> bool:
        """Whether the proxy has answered for what `names` are now; others may still be open."""
        sent = self._under_way
        if sent and not names.isdisjoint((*(each.name for each in sent.resources), *sent.removed)):
            return False
        noted = self._dirty.union(self._held, *self._suspects)
        added, removed = self._compare(names & noted, snapshot)
        return self._started and not added and not removed

    def is_behind(self, snapshot: Snapshot) -> bool:
        """Whether there is something to add that has to wait for an answer."""
        return self.is_waiting and bool(self._wanted(snapshot)[0])

    def state(self, resource: Resource) -> tuple[State, str]:
        """Return what the proxy made of a resource as it is now, and its words if it refused it."""
        name, sent = resource.name, self._under_way
        refused = self._refused.get(name)
        if refused and refused.version == resource.version:
            return State.REFUSED, refused.message
        if sent is not None and any(each.name == name for each in sent.resources):
            return State.PENDING, ""
        if self.known.get(name) == resource.version:
            return State.ACKNOWLEDGED, ""
        return (State.PENDING if self._covers(resource) else State.UNASKED), ""

    def _wanted(self, snapshot: Snapshot) -> tuple[list[Resource], list[str]]:
        added, removed = self._compare(self._dirty.union(*self._suspects), snapshot)
        # What does not concern this proxy need not be looked at again.
        self._dirty &= {*(each.name for each in added), *removed}
        return added, removed

    def next(
        self, snapshot: Snapshot, revision: int, *, hold_removals: bool = False
    ) -> Response | None:
        """Return what is to be sent now, if anything; `hold_removals` keeps them for later."""
        if self._under_way is not None or not self._started:
            return None
        self._dirty |= self._held
        self._held = set()
        while batch := self._suspects.pop(0) if self._suspects else self._take():
            added, removed = self._compare(batch, snapshot)
            if hold_removals:
                self._held.update(name for name in removed if name not in self._asked)
                removed = [name for name in removed if name in self._asked]
            if added or removed:
                return self._send(added, removed, revision)
        if self._greet:
            return self._send([], [], revision)
        if not self._held:
            self.acknowledged = revision
        return None

    def _take(self) -> frozenset[str]:
        taken, self._dirty = frozenset(self._dirty), set()
        return taken

    def _compare(
        self, names: Iterable[str], snapshot: Snapshot
    ) -> tuple[list[Resource], list[str]]:
        added: list[Resource] = []
        removed: list[str] = []
        for name in sorted(names):
            resource = snapshot.get(self.type_url, name)
            refused = self._refused.get(name)
            if refused and (resource is None or refused.version != resource.version):
                del self._refused[name]
                refused = None
            if resource is None or not self._covers(resource):
                if name in self.known or name in self._asked:
                    removed.append(name)
            elif refused:
                if name in self._asked and name not in self.known:
                    removed.append(name)
            elif name in self._asked or self.known.get(name) != resource.version:
                added.append(resource)
        return added, removed

    def _covers(self, resource: Resource) -> bool:
        # What it has from another replica, which held it for eager, is in use there.
        wanted = not resource.on_demand or resource.name in self.known
        return resource.name in self.names or (self.wildcard and wanted)

    def _send(self, added: list[Resource], removed: list[str], revision: int) -> Response:
        self.responses += 1
        self._greet = False
        names = (*(each.name for each in added), *removed)
        self._before = {n: _Before(self.known.get(n), n in self._asked) for n in names}
        self.known.update((each.name, each.version) for each in added)
        for name in removed:
            self.known.pop(name, None)
        self._asked.difference_update(names)
        unfinished = self._suspects or self._dirty or self._held
        reached = self.acknowledged if unfinished else revision
        self._under_way = Response(str(self.responses), tuple(added), tuple(removed), reached)
        return self._under_way


def _parts(names: tuple[str, ...], error: str) -> list[frozenset[str]]:
    """Divide what was refused together: what Envoy names from the rest, or else in the middle."""
    everything = frozenset(names)
    named = frozenset(name for name in names if _is_in(name, error))
    if named and named != everything:
        return [named, everything - named]
    middle = len(names) // 2
    return [part for part in (frozenset(names[:middle]), frozenset(names[middle:])) if part]


def _is_in(name: str, text: str) -> bool:
    # As a whole: `a` is not in `a-b`, nor in `ns/a`, but in "a: no such thing" and in "'a'".
    return (
        re.search(rf"(?<![\w-])(?<!\w[./:|]){re.escape(name)}(?![\w-]|[./:|]\w)", text) is not None
    )
