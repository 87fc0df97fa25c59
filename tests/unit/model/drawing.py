"""Istio's resources at random: whatever an ExternalService can say, too."""

from typing import Any

from hypothesis import strategies as st

HOSTS = ("api.example.com", "b.example.com", "*.example.org")


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def document(kind: str, spec: Any, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team"}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


seconds = st.integers(1, 5000).map(lambda each: f"{each}ms")
count = st.integers(1, 1000)
percent = st.integers(1, 100).map(lambda each: {"value": each})
words = st.sampled_from(("a", "x+y", "1.0", "(b)"))
headers = st.dictionaries(st.sampled_from(("x-a", "x-b")), words, min_size=1)
edits = maybe(set=headers, add=headers, remove=st.just(["x-c"]))
text = st.one_of(
    st.builds(lambda kind, value: {kind: value}, st.sampled_from(("exact", "prefix")), words),
    st.just({"regex": "a[0-9]+"}),
    st.just({}),
)
paths = st.sampled_from(("/", "/v1", "/v1/", "/a.b", "/x*"))
uri = st.builds(lambda kind, path: {kind: path}, st.sampled_from(("exact", "prefix")), paths)
match = maybe(
    uri=uri,
    ignoreUriCase=st.booleans(),
    method=st.sampled_from(("GET", "POST")).map(lambda each: {"exact": each}),
    headers=st.dictionaries(st.sampled_from(("x-a", "x-b")), text, min_size=1),
    withoutHeaders=st.dictionaries(st.just("x-d"), text, min_size=1),
    queryParams=st.dictionaries(st.just("q"), text, min_size=1),
    port=st.just(80),
)
target = st.sampled_from(HOSTS[:2]).map(lambda host: {"destination": {"host": host}})
routes = st.one_of(
    target.map(lambda each: [each]),
    st.lists(
        st.builds(
            lambda to, weight, more: {**to, "weight": weight, "headers": {"request": more}},
            target,
            count,
            edits,
        ),
        min_size=2,
        max_size=3,
    ),
)
retries = st.fixed_dictionaries(
    {"attempts": st.integers(0, 5)},
    optional={
        "perTryTimeout": seconds,
        "retryOn": st.sampled_from(("5xx", "reset,429", "gateway-error,unavailable")),
        "backoff": seconds,
    },
)
fault = maybe(
    delay=st.fixed_dictionaries({"fixedDelay": seconds, "percentage": percent}),
    abort=st.fixed_dictionaries({"httpStatus": st.integers(200, 599), "percentage": percent}),
)
routed = st.fixed_dictionaries(
    {"route": routes},
    optional={
        "match": st.lists(match, max_size=2),
        "timeout": seconds,
        "retries": retries,
        "fault": fault,
        "headers": maybe(request=edits, response=edits),
        "rewrite": maybe(uri=paths, authority=st.just("c.example.com")),
        "mirrors": st.lists(
            target.flatmap(lambda to: percent.map(lambda each: {**to, "percentage": each})),
            max_size=2,
        ),
    },
)
answered = st.fixed_dictionaries(
    {"directResponse": st.just({"status": 418, "body": {"string": "no"}})},
    optional={"match": st.lists(match, max_size=2)},
)
redirected = st.fixed_dictionaries(
    {"redirect": st.just({"authority": "c.example.com", "uri": "/moved", "redirectCode": 307})},
    optional={"match": st.lists(match, max_size=2)},
)
virtual = st.builds(
    lambda hosts, http: document("VirtualService", {"hosts": hosts, "http": http}, "vs"),
    st.lists(st.sampled_from(HOSTS), min_size=1, max_size=3, unique=True),
    st.lists(st.one_of(routed, answered, redirected), min_size=1, max_size=3),
)
policy = maybe(
    connectionPool=maybe(
        tcp=maybe(
            maxConnections=count,
            connectTimeout=seconds,
            maxConnectionDuration=seconds,
            tcpKeepalive=maybe(
                time=st.just("60s"), interval=st.just("10s"), probes=st.integers(1, 9)
            ),
        ),
        http=maybe(
            http1MaxPendingRequests=count,
            http2MaxRequests=count,
            maxRequestsPerConnection=count,
            maxRetries=count,
            idleTimeout=seconds,
            maxConcurrentStreams=count,
        ),
    ),
    outlierDetection=maybe(
        consecutive5xxErrors=count,
        consecutiveGatewayErrors=count,
        interval=seconds,
        baseEjectionTime=seconds,
        maxEjectionPercent=st.integers(0, 100),
    ),
)
tls = st.one_of(
    st.just({"mode": "DISABLE"}),
    st.fixed_dictionaries(
        {"mode": st.just("SIMPLE")},
        optional={
            "sni": st.just("sni.example.com"),
            "subjectAltNames": st.just(["san.example.com"]),
            "credentialName": st.just("authority"),
            "insecureSkipVerify": st.booleans(),
        },
    ),
    st.just({"mode": "MUTUAL", "credentialName": "client"}),
    st.just(
        {"mode": "MUTUAL", "clientCertificate": "/c", "privateKey": "/k", "caCertificates": "/a"}
    ),
)
rule = st.builds(
    lambda host, common, secure: document(
        "DestinationRule", {"host": host, "trafficPolicy": {**common, "tls": secure}}, "dr"
    ),
    st.sampled_from(HOSTS),
    policy,
    tls,
)
ports = [
    {"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080},
    {"number": 443, "name": "tls", "protocol": "HTTPS"},
    {"number": 5050, "name": "grpc", "protocol": "GRPC"},
]
export = st.sampled_from((["*"], ["."], [".", "other"], []))
exact = st.builds(
    lambda export, more: document(
        "ServiceEntry", {"hosts": list(HOSTS[:2]), "ports": ports, "exportTo": export, **more}, "se"
    ),
    export,
    st.sampled_from(
        (
            {"resolution": "DNS"},
            {"resolution": "DNS", "endpoints": [{"address": "c.example.net", "locality": "eu/a"}]},
            {"resolution": "STATIC", "endpoints": [{"address": "10.1.2.3", "weight": 2}]},
            {"resolution": "NONE", "addresses": ["203.0.113.0/24"]},
            {"resolution": "DNS", "subjectAltNames": ["san.example.com"]},
        )
    ),
)
wild = st.builds(
    lambda export, resolution: document(
        "ServiceEntry",
        {"hosts": [HOSTS[2]], "ports": ports, "exportTo": export, "resolution": resolution},
        "wild",
    ),
    export,
    st.sampled_from(("NONE", "DYNAMIC_DNS")),
)
