"""Tokens as kubelets get them, and an API server that says of each whose it is."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from outgate.errors import UnavailableError
from outgate.kube.tokens import Caller
from outgate.model.names import Name

MakeToken = Callable[..., str]


class Judge:
    """Knows tokens that it was told of; notes how often it was asked, and by how many at once."""

    def __init__(self) -> None:
        self.known: dict[str, Caller] = {}
        self.asked: list[str] = []
        self.now = self.most = 0
        self.down = False
        self.seconds = 0.0

    async def ask(self, token: str) -> Caller | None:
        self.asked.append(token)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds)
        self.now -= 1
        if self.down:
            raise UnavailableError("the API server is away")
        return self.known.get(token)


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def token() -> MakeToken:
    """Write a token with the claims of one for a pod; each call's is another one."""
    count = iter(range(1_000_000))

    def make(**changed: Any) -> str:
        claims = {
            "aud": ["outgate"],
            "exp": time.time() + 3600,
            "kubernetes.io": {"namespace": "default", "pod": {"name": "a", "uid": "1"}},
            "jti": str(next(count)),
            **changed,
        }
        parts = (json.dumps(each).encode() for each in ({"alg": "RS256"}, claims))
        text = [base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in parts]
        return ".".join((*text, "c2lnbmF0dXJl"))

    return make


@pytest.fixture
def known(judge: Judge, token: MakeToken) -> Callable[[str], str]:
    """Return the token of a pod in `default`, which the API server knows."""

    def make(pod: str, account: str = "default", namespace: str = "default") -> str:
        made = token()
        judge.known[made] = Caller(Name(namespace, pod), f"uid-of-{pod}", account)
        return made

    return make
