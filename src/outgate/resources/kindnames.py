"""The words by which people, and kubectl, know kinds: singular, plural, short, and with the API group."""

import functools

from outgate.resources import kinds

_SHORT = {
    "service": ("svc",),
    "configmap": ("cm",),
    "externalservice": ("extsvc",),
    "egresspolicy": ("egp",),
    "serviceentry": ("se",),
    "destinationrule": ("dr",),
    "virtualservice": ("vs",),
    "referencegrant": ("refgrant",),
    "backendtlspolicy": ("btlspolicy",),
}
"""As the kinds' own definitions have them."""


@functools.cache
def words() -> dict[str, str]:
    """Return each word, in lower case, with the kind that it means, in lower case too."""
    found: dict[str, str] = {}
    for group, name in kinds.known():
        kind = name.lower()
        whole = (kind, kinds.plural(kind))
        found |= dict.fromkeys((*whole, *_SHORT.get(kind, ())), kind)
        if group:
            found |= dict.fromkeys((f"{each}.{group}" for each in whole), kind)
    return found


@functools.cache
def qualified(kind: str) -> str:
    """Name a kind as kubectl does in its messages: `externalservice.outgate.dev`, but `service`."""
    groups = (group for group, name in kinds.known() if name.lower() == kind)
    return ".".join(filter(None, (kind, next(groups, ""))))


def listed() -> str:
    """Return all plurals, for a hint."""
    return ", ".join(dict.fromkeys(kinds.plural(kind) for kind in words().values()))
