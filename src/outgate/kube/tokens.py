"""Who sent a token: only the API server can say, and only for tokens that were made for us and for one pod."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from lightkube.models.authentication_v1 import TokenReviewSpec
from lightkube.resources.authentication_v1 import TokenReview

from outgate.errors import UnavailableError
from outgate.inject import bootstrap
from outgate.kube import client as api
from outgate.kube.client import Client
from outgate.model.names import Name

AUDIENCE = bootstrap.TOKEN_AUDIENCE
"""A token that was made for something else, such as the API server itself, is refused."""
_POD_NAME, _POD_UID = (
    "authentication.kubernetes.io/pod-name",
    "authentication.kubernetes.io/pod-uid",
)
_ACCOUNT = "system:serviceaccount:"
_MOST_CHARACTERS = 8192
"""Of a token: those that kubelets get have about 1200."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A pod, and the service account that it runs as; both are in the pod's namespace."""

    pod: Name
    uid: str
    service_account: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself, which proves nothing; `expires` is in seconds since 1970."""

    expires: float


def claims(token: str) -> Claims | None:
    """Read a token as far as it can be read without its signature; None if it cannot be one for us, bound to a pod."""
    parts = token.split(".")
    if len(token) > _MOST_CHARACTERS or len(parts) != 3:
        return None
    try:
        said: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    audiences, about, expires = said.get("aud"), said.get("kubernetes.io"), said.get("exp")
    if not isinstance(audiences, list) or AUDIENCE not in audiences:
        return None
    if not isinstance(about, dict) or "pod" not in about or not isinstance(expires, int | float):
        return None
    return Claims(float(expires))


async def review(client: Client, token: str) -> Caller | None:
    """Return whose token it is; None if it proves no pod. UnavailableError if the API server cannot be asked."""
    try:
        answer = await client.create(
            TokenReview(spec=TokenReviewSpec(token=token, audiences=[AUDIENCE]))
        )
    except api.TROUBLE as error:
        raise UnavailableError(f"the API server does not judge a token: {error}") from error
    status = answer.status
    if status is None or not status.authenticated or AUDIENCE not in (status.audiences or ()):
        return None
    user = status.user
    extra = (user.extra if user else None) or {}
    named, uid = extra.get(_POD_NAME, ()), extra.get(_POD_UID, ())
    if user is None or not (user.username or "").startswith(_ACCOUNT):
        return None
    namespace, _, account = (user.username or "").removeprefix(_ACCOUNT).partition(":")
    if len(named) != 1 or len(uid) != 1 or not namespace or not account:
        return None
    return Caller(Name(namespace, named[0]), uid[0], account)
