"""Policies and calls at random: the same each time."""

import random
from typing import Any

from outgate.model.names import Name
from outgate.model.workloads import Workload
from outgate.traffic.permitting import (
    Callee,
    Effect,
    LocalLimit,
    Mode,
    Policy,
    PolicyRule,
    Request,
    Share,
    Subject,
)
from outgate.traffic.routing import Comparison, Field, Text

DESTINATIONS = {
    ("tools", "externalservice/github"): "api.github.com",
    ("tools", "service/bin"): "httpbin.org",
    ("shop", "externalservice/github"): "api.github.com",
    ("shop", "serviceentry/raw"): "raw.github.com",
    ("shop", "service/inside"): "",
}
PATHS = (
    "/",
    "/repos",
    "/repos/a",
    "/reposes",
    "/repos/../admin",
    "/repos//a",
    "/admin",
    "/%61dmin",
    "/x;y",
    "/q?a=/b",
    "/x:kill",
    "/x%3Akill",
    "/x%zz",
    "/%c0%ae",
)
TEXTS = (
    Text(Comparison.EXACT, "/admin"),
    Text(Comparison.PREFIX, "/repos"),
    Text(Comparison.PATH_PREFIX, "/repos"),
    Text(Comparison.SUFFIX, "a"),
    Text(Comparison.SUFFIX, ":kill"),
    Text(Comparison.REGEX, "/r.*|/admin"),
    Text(Comparison.EXACT, "/ADMIN", ignore_case=True),
    Text(Comparison.REGEX, "/REPOS.*", ignore_case=True),
)
HEADERS = (
    Field("x-a", Text(Comparison.EXACT, "b")),
    Field("x-a", Text(Comparison.PRESENT)),
    Field("X-A", Text(Comparison.EXACT, "b"), inverted=True),
    Field("x-a", Text(Comparison.PREFIX, "B", ignore_case=True)),
    Field("x-a", Text(Comparison.REGEX, "b|d")),
    Field("x-a", Text(Comparison.SUFFIX, "b")),
)
SUBJECTS = (
    Subject(),
    Subject({"app": "a"}),
    Subject({"app": "b"}),
    Subject({}, ("builder",)),
    Subject({"app": "a"}, ("builder", "default")),
)
CALLEES = (
    Callee(),
    Callee(ports=(80,)),
    Callee(host="api.github.com"),
    Callee(host="*.github.com", ports=(443, 80)),
    Callee(host="*.com"),
    *(
        Callee(source.partition("/")[0], place, source.partition("/")[2])
        for place, source in DESTINATIONS
    ),
    Callee("ExternalService", "", "github", ports=(443,)),
)


def pods(namespace: str) -> tuple[Workload, ...]:
    return (
        Workload(Name(namespace, "a"), "", "default", {"app": "a"}),
        Workload(Name(namespace, "b"), "", "builder", {"app": "b"}),
        Workload(Name(namespace, "c"), "", "builder", {"app": "a", "x": "y"}),
    )


def drawing(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same each time


def some(chosen: random.Random, values: tuple[Any, ...], most: int) -> tuple[Any, ...]:
    return tuple(chosen.sample(values, chosen.randint(0, min(most, len(values)))))


def a_request(chosen: random.Random) -> Request:
    methods = some(chosen, ("GET", "POST", "DELETE"), 2)
    return Request(methods, some(chosen, TEXTS, 2), some(chosen, HEADERS, 1))


def a_rule(chosen: random.Random) -> PolicyRule:
    effect = chosen.choice((Effect.ALLOW, Effect.ALLOW, Effect.DENY))
    requests = tuple(a_request(chosen) for _ in range(chosen.choice((0, 0, 1, 2))))
    limited = effect is Effect.ALLOW and chosen.random() < 0.2
    limit = LocalLimit(1_000_000, 1.0, share=chosen.choice(tuple(Share))) if limited else None
    return PolicyRule(effect, some(chosen, CALLEES, 3), requests, limit)


def policies(chosen: random.Random, namespace: str) -> tuple[Policy, ...]:
    return tuple(
        Policy(
            namespace,
            f"p{chosen.randint(0, 99)}-{number}",
            chosen.choice(SUBJECTS),
            tuple(a_rule(chosen) for _ in range(chosen.randint(0, 4))),
            chosen.choice((Mode.ENFORCE, Mode.ENFORCE, Mode.AUDIT)),
        )
        for number in range(chosen.randint(0, 4))
    )
