"""What a proxy is to have: serialised resources, each made once and shared by all proxies that get it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Resource:
    """One Envoy resource.

    `version` is a hash of `value`, the serialised message (not of an Any). One that is `on_demand` is given only to
    those who ask for it by name.
    """

    type_url: str
    name: str
    version: str
    value: bytes = field(repr=False)
    on_demand: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All resources by type and name; immutable: a change is a new value that shares the types it did not touch."""

    types: Mapping[str, Mapping[str, Resource]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def get(self, type_url: str, name: str) -> Resource | None:
        """Return one resource."""
        return self.types.get(type_url, {}).get(name)

    def of_type(self, type_url: str) -> Mapping[str, Resource]:
        """Return all resources of a type, by name."""
        return self.types.get(type_url, {})

    def replace(
        self, changed: Iterable[Resource] = (), removed: Iterable[tuple[str, str]] = ()
    ) -> "Snapshot":
        """Return the snapshot after a change; `removed` are pairs of type URL and name."""
        types = dict(self.types)
        copied: dict[str, dict[str, Resource]] = {}

        def writable(type_url: str) -> dict[str, Resource]:
            if type_url not in copied:
                copied[type_url] = dict(types.get(type_url, {}))
                types[type_url] = copied[type_url]
            return copied[type_url]

        for type_url, name in removed:
            writable(type_url).pop(name, None)
        for resource in changed:
            writable(resource.type_url)[resource.name] = resource
        return Snapshot(types)
