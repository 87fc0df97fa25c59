"""What is declared in these tests: a host for each thing that a rule can say."""

from tests.e2e.routes.loopback import Envoy

from outgate.model.destinations import External, Peer, Port
from outgate.model.names import Name
from outgate.traffic.references import Protocol, Target
from outgate.traffic.routing import (
    Answer,
    Backend,
    Comparison,
    Edits,
    Fault,
    Field,
    Match,
    Mirror,
    Redirect,
    Retries,
    Rewrite,
    Rule,
    Text,
    Timeouts,
)
from outgate.traffic.upstream import Balancing, Hash, HashKey, Upstream
from outgate.xds import naming


def path(comparison: Comparison, value: str, *, ignore_case: bool = False) -> Match:
    return Match(path=Text(comparison, value, ignore_case))


def header(name: str, comparison: Comparison, value: str = "", *, inverted: bool = False) -> Field:
    return Field(name, Text(comparison, value), inverted)


def answers(*rules: tuple[Match, str]) -> tuple[Rule, ...]:
    return tuple(Rule(matches=(match,), answer=Answer(200, body)) for match, body in rules)


ONE, TWO, GONE = Target("a", "one.test"), Target("a", "two.test"), Target("a", "gone.test")
PATHS = answers(
    (path(Comparison.EXACT, "/exact"), "exact"),
    (path(Comparison.EXACT, "/Case", ignore_case=True), "case"),
    (path(Comparison.PATH_PREFIX, "/parts/"), "parts"),
    (path(Comparison.PREFIX, "/begin"), "begin"),
    (path(Comparison.SUFFIX, ".png"), "suffix"),
    (path(Comparison.REGEX, "/v[0-9]+"), "regex"),
)
FIELDS = answers(
    (Match(methods=("PUT", "PATCH")), "method"),
    (Match(headers=(header("x-a", Comparison.EXACT, "1"),)), "header"),
    (Match(headers=(header("x-b", Comparison.PREFIX, "b-"),)), "prefix"),
    (Match(headers=(header("x-c", Comparison.PRESENT),)), "present"),
    (Match(query=(header("q", Comparison.EXACT, "1"),)), "query"),
    (Match(query=(header("r", Comparison.REGEX, "[0-9]+"),)), "expression"),
    (
        Match(
            path=Text(Comparison.EXACT, "/not"),
            headers=(header("x-d", Comparison.EXACT, "1", inverted=True),),
            query=(header("s", Comparison.EXACT, "1", inverted=True),),
        ),
        "neither",
    ),
)
CASES: dict[str, tuple[Rule, ...]] = {
    "plain": (),
    "paths": PATHS,
    "fields": FIELDS,
    "order": (
        Rule(matches=(path(Comparison.PREFIX, "/"),), answer=Answer(200, "first")),
        Rule(matches=(path(Comparison.EXACT, "/x"),), answer=Answer(200, "second")),
    ),
    "callers": (Rule(callers=frozenset({"b"}), answer=Answer(200, "for b")),),
    "request-timeout": (Rule(timeouts=Timeouts(request=0.3)),),
    "idle-timeout": (Rule(timeouts=Timeouts(idle=0.3)),),
    "per-try": (Rule(retries=Retries(1, ("5xx", "reset"), per_try=0.3)),),
    "hedge": (Rule(retries=Retries(1, ("5xx",), per_try=0.2, hedge=True)),),
    "statuses": (Rule(retries=Retries(1, statuses=(429,), backoff=0.001, backoff_max=0.01)),),
    "no-retries": (Rule(retries=Retries(0)),),
    "fault": (
        Rule(
            matches=(Match(headers=(header("x-delay", Comparison.PRESENT),)),),
            fault=Fault(delay=0.4),
        ),
        Rule(
            matches=(Match(headers=(header("x-grpc", Comparison.PRESENT),)),),
            fault=Fault(grpc_abort=14),
        ),
        Rule(
            matches=(Match(headers=(header("x-half", Comparison.PRESENT),)),),
            fault=Fault(abort=503, abort_percent=50),
        ),
        Rule(fault=Fault(abort=418)),
    ),
    "edits": (
        Rule(
            request=Edits(
                (("x-put", "new %REQ(cookie)% 100%"),), (("x-add", "2"),), ("x-remove", "x-outgate")
            ),
            response=Edits((("x-server", "hidden"),), (("x-more", "1"),), ("content-type",)),
        ),
    ),
    "prefix": (
        Rule(
            matches=(path(Comparison.PATH_PREFIX, "/old"),),
            rewrite=Rewrite(path="/new/"),
        ),
        Rule(matches=(path(Comparison.PATH_PREFIX, "/cut"),), rewrite=Rewrite(path="/")),
        Rule(matches=(path(Comparison.PREFIX, "/lit"),), rewrite=Rewrite(path="/LIT")),
        Rule(rewrite=Rewrite(path="/base")),
    ),
    "whole": (Rule(rewrite=Rewrite(path="/all", whole=True, host="other.test")),),
    "regex": (Rule(rewrite=Rewrite(regex="^/u/([^/]+)/(.*)$", substitution=r"/\2/\1")),),
    "redirect": (
        Rule(
            matches=(path(Comparison.PATH_PREFIX, "/moved"),),
            redirect=Redirect(prefix="/there", status=301),
        ),
        Rule(redirect=Redirect(scheme="https", host="secure.test", path="/p", status=308)),
    ),
    "answer": (Rule(answer=Answer(451, "100% no"), response=Edits(put=(("x-why", "law"),))),),
    "mirror": (Rule(mirrors=(Mirror(TWO),)),),
    "split": (
        Rule(
            backends=(
                Backend(ONE, 1, request=Edits(put=(("x-to", "one"),))),
                Backend(TWO, 3, response=Edits(put=(("x-from", "two"),))),
                Backend(GONE, 0),
            )
        ),
    ),
    "backend": (Rule(backends=(Backend(ONE),)),),
    "half": (Rule(backends=(Backend(ONE), Backend(GONE))),),
    "lost": (Rule(backends=(Backend(GONE),), source="httproute/lost"),),
    "body": (Rule(max_body=1000),),
    "small": (Rule(decompress=True),),
    "failover": (Rule(backends=(Backend(ONE, failover=(TWO,)),)),),
}


def start(envoy: Envoy) -> None:
    """Start an Envoy with all of it."""
    numbers = tuple(envoy.ports.values())
    clusters: dict[str, list[str]] = {}

    def external(namespace: str, name: str, *servers: str, **more: object) -> External:
        upstream = more.pop("upstream", Upstream())
        assert isinstance(upstream, Upstream)
        ports = tuple(Port(each, Protocol.HTTP, target=80, upstream=upstream) for each in numbers)
        found = External(Name(namespace, name), name, ports, **more)  # type: ignore[arg-type]
        for port in ports:
            clusters[naming.http_cluster(found.name, port.number)] = list(servers)
        return found

    one, two = external("a", "one.test", "one"), external("a", "two.test", "two")
    peers = tuple(
        Peer(target, each.name, each.host, port)
        for target, each in ((ONE, one), (TWO, two))
        for port in each.ports
    )
    made_cases = [
        external("a", f"{name}.test", "main", rules=rules, peers=peers, source=f"kind/{name}")
        for name, rules in CASES.items()
    ]
    for each in numbers:
        copies = naming.mirror(Name("a", "mirror.test"), two.name, each)
        clusters[copies] = ["two"]
    ring = Upstream(
        balancing=Balancing(
            hashes=(Hash(HashKey.HEADER, "x-user"), Hash(HashKey.COOKIE, "c", 60.0))
        )
    )
    pods = Upstream(balancing=Balancing(hashes=(Hash(HashKey.SOURCE),)))
    hosts = [
        external("a", "both.test", "one", visible=frozenset(), created="2"),
        external("b", "both.test", "two", created="1"),
        external("b", "shared.test", "two", visible=frozenset({"a"}), created="1"),
        external("c", "shared.test", "three", created="2"),
        external("b", "hidden.test", "two", visible=frozenset()),
        external("a", "ring.test", "one", "two", "three", upstream=ring),
        external("a", "pods.test", "one", "two", "three", upstream=pods),
    ]
    envoy.start([one, two, *made_cases, *hosts], clusters, [])
