"""The state of one proxy's subscription to one type, as the delta xDS protocol defines it, without I/O.

Whoever owns it feeds it requests and changes, and asks `next` what is to be sent. At most one response is under way,
so that a slow proxy costs no more memory than the names it subscribed to: changes meanwhile are only noted by name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from outgate.xds.snapshot import Resource, Snapshot

WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class Request:
    """What a proxy said: `nonce` is empty unless it answers a response, `error` unless it refused it."""

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


@dataclass(frozen=True, slots=True)
class Refusal:
    """A NACK: which resources, and Envoy's words; `names` are all that were sent where the words name none."""

    names: tuple[str, ...]
    message: str


@dataclass(slots=True)
class Subscription:
    """One type on one stream; `type_url` is for the owner's use."""

    type_url: str
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    known: dict[str, str] = field(default_factory=dict)
    """Versions that the proxy has, or is being sent."""
    refused: dict[str, str] = field(default_factory=dict)
    """Versions that the proxy refused: they are not sent again until they change."""
    refusal: Refusal | None = None
    """The last refusal, until what was refused has changed and was taken."""
    acknowledged: int = -1
    """The revision up to which the proxy has answered for everything."""
    responses: int = 0
    _asked: set[str] = field(default_factory=set)
    _dirty: set[str] = field(default_factory=set)
    _started: bool = False
    _owes: bool = False
    """Whether an answer is due even if it is empty: Envoy holds its start back until the first one."""
    _under_way: Response | None = None
    _before: dict[str, str | None] = field(default_factory=dict)

    @property
    def is_waiting(self) -> bool:
        """Whether a response has not been answered yet."""
        return self._under_way is not None

    def receive(self, request: Request, snapshot: Snapshot) -> None:
        """Take in what the proxy said; an answer to anything but the last response is out of date and ignored."""
        if not self._started:
            self._start(request, snapshot)
        elif request.nonce and self._under_way and request.nonce == self._under_way.nonce:
            self._answer(request.error)
        self._subscribe(request.subscribe, snapshot)
        self._unsubscribe(request.unsubscribe)

    def _start(self, request: Request, snapshot: Snapshot) -> None:
        self._started = True
        self.known = dict(request.initial_versions)
        self._dirty |= set(self.known)
        # A first request that names nothing asks for everything: the protocol's older form of "*".
        if not request.subscribe:
            self._subscribe((WILDCARD,), snapshot)

    def _subscribe(self, names: Iterable[str], snapshot: Snapshot) -> None:
        for name in names:
            if name == WILDCARD:
                self.wildcard = True
                self._owes = not self.known
                self._dirty |= set(snapshot.of_type(self.type_url))
            else:
                self.names.add(name)
                self._asked.add(name)
                self._dirty.add(name)

    def _unsubscribe(self, names: Iterable[str]) -> None:
        for name in names:
            if name == WILDCARD:
                self.wildcard = False
            self.names.discard(name)
            self._asked.discard(name)
            self.known.pop(name, None)

    def _answer(self, error: str) -> None:
        sent = self._under_way
        assert sent is not None  # noqa: S101 - checked by the only caller
        self._under_way = None
        self.acknowledged = sent.revision
        if not error:
            if self.refusal and not any(name in self.refused for name in self.refusal.names):
                self.refusal = None
            return
        named = tuple(each.name for each in sent.resources if each.name in error)
        names = named or tuple(each.name for each in sent.resources)
        self.refusal = Refusal(names, error)
        for each in sent.resources:
            if each.name in names:
                self.refused[each.name] = each.version
                before = self._before.get(each.name)
                if before is None:
                    self.known.pop(each.name, None)
                else:
                    self.known[each.name] = before

    def change(self, names: Iterable[str]) -> None:
        """Note that resources of this type changed, came or went."""
        self._dirty.update(names)

    def has_news(self) -> bool:
        """Whether there may be something to send."""
        return bool(self._dirty)

    def next(
        self, snapshot: Snapshot, revision: int, *, hold_removals: bool = False
    ) -> Response | None:
        """Return what is to be sent now, if anything; with `hold_removals` what is gone stays noted for later."""
        if self._under_way is not None or not self._started:
            return None
        added: list[Resource] = []
        removed: list[str] = []
        held: set[str] = set()
        for name in sorted(self._dirty):
            resource = snapshot.get(self.type_url, name)
            if resource is not None and self._wants(resource):
                if self._is_new(resource):
                    added.append(resource)
            elif name in self.known or name in self._asked:
                # A name that was asked for and is not there is answered too, so that Envoy stops waiting.
                (held.add if hold_removals and name not in self._asked else removed.append)(name)
        self._dirty = held
        if not added and not removed and not self._owes:
            if not held:
                self.acknowledged = revision
            return None
        return self._send(added, removed, revision if not held else revision - 1)

    def _wants(self, resource: Resource) -> bool:
        return resource.name in self.names or (self.wildcard and not resource.on_demand)

    def _is_new(self, resource: Resource) -> bool:
        if self.refused.get(resource.name) == resource.version:
            return False
        return resource.name in self._asked or self.known.get(resource.name) != resource.version

    def _send(self, added: list[Resource], removed: list[str], revision: int) -> Response:
        self.responses += 1
        self._owes = False
        self._before = {each.name: self.known.get(each.name) for each in added}
        for each in added:
            self.known[each.name] = each.version
            self.refused.pop(each.name, None)
            self._asked.discard(each.name)
        for name in removed:
            self.known.pop(name, None)
            self.refused.pop(name, None)
            self._asked.discard(name)
        self._under_way = Response(str(self.responses), tuple(added), tuple(removed), revision)
        return self._under_way
