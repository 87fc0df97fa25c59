"""Every field of the four kinds, as the API of Istio 1.32 has them, and what becomes of each.

From https://pkg.go.dev/istio.io/api@v1.32.0: the custom resource definitions, which are the same in v1, v1beta1 and
v1alpha3. An empty note is a field that does what Istio says.
"""

from outgate.resources.istio.fields import ANY, Fields, Said, refused

_YES = ""

_NO_SUBSET = refused(
    "subsets are not supported: all endpoints of the host would be called",
    "declare a host of its own for these endpoints, and route to that",
)
_NO_LABELS = refused(
    "calls cannot be told apart by the labels of their pod here: this would hold for all pods",
    "use sourceNamespace, or say with an EgressPolicy who may call",
)
_NO_SELECTOR = refused(
    "it would hold for all pods, as connections are made by the egress, for all that see the host",
    "leave it out, and say with exportTo or an EgressPolicy who may call",
)
_GATEWAYS = "only `mesh` is there: what is for other gateways alone is left out, with a warning"

SERVICE_ENTRY: Fields = {
    "hosts": "DNS names, and wildcards such as `*.example.com`; a name without a dot is a Service's",
    "addresses": "a call by address goes to that very address; with a warning where the resolution is not NONE",
    "ports": {
        "number": _YES,
        "protocol": "HTTP, HTTP2, GRPC, GRPC-WEB; HTTPS and TLS: passed through by SNI; TCP, MONGO, MYSQL, REDIS",
        "name": _YES,
        "targetPort": _YES,
    },
    "location": "MESH_EXTERNAL; with MESH_INTERNAL calls go out too, without Istio's mutual TLS, with a warning",
    "resolution": "NONE calls an exact host where DNS says that it is, not where the application has looked it up",
    "endpoints": {
        "address": "IP addresses and DNS names; no Unix sockets",
        "ports": _YES,
        "labels": Said("has no effect: nothing selects endpoints by their labels"),
        "network": Said("has no effect: every endpoint is called directly"),
        "locality": _YES,
        "weight": _YES,
        "serviceAccount": Said(
            "has no effect: endpoints outside have no identity of the mesh",
            "name what their certificate says in subjectAltNames",
        ),
    },
    "workloadSelector": refused(
        "there are no WorkloadEntries here", "write the endpoints out in spec.endpoints"
    ),
    "exportTo": _YES,
    "subjectAltNames": "where a DestinationRule has TLS opened",
}

_TLS: Fields = {
    "mode": "DISABLE, SIMPLE, MUTUAL; ISTIO_MUTUAL is refused, as nobody outside knows the mesh's certificates",
    "clientCertificate": "a file, on one machine only: in a cluster calls fail",
    "privateKey": "a file, on one machine only: in a cluster calls fail",
    "caCertificates": "a file, on one machine only, or `system`",
    "credentialName": "a Secret of the namespace: `tls.crt` and `tls.key` with MUTUAL, `ca.crt` with both",
    "caCertCredentialName": "a Secret of the namespace with `ca.crt`",
    "subjectAltNames": _YES,
    "sni": _YES,
    "insecureSkipVerify": "with a warning",
    "caCrl": refused("revocation lists are not read, so that revoked certificates would do"),
}
_NO_LOCALITY = Said("has no effect: endpoints are called by their weights, wherever they are")
_LOCALITY: Fields = {
    "enabled": _NO_LOCALITY,
    "failover": _NO_LOCALITY,
    "failoverPriority": _NO_LOCALITY,
}
_NO_WARMUP = Said("has no effect: a new endpoint gets its share at once")
_LOAD_BALANCER: Fields = {
    "simple": "PASSTHROUGH has no effect, with a warning",
    "consistentHash": {
        "httpHeaderName": _YES,
        "httpCookie": {
            "name": _YES,
            "path": Said("has no effect: a cookie that the egress sets holds for all paths"),
            "ttl": _YES,
            "attributes": Said("has no effect: a cookie that the egress sets has no attributes"),
        },
        "useSourceIp": _YES,
        "httpQueryParameterName": _YES,
        "ringHash": {"minimumRingSize": _YES},
        "maglev": Said("a ring is used instead, which serves the same purpose", "write ringHash"),
        "minimumRingSize": _YES,
    },
    "localityLbSetting": {**_LOCALITY, "distribute": _NO_LOCALITY},
    "zoneAwareLbSetting": {**_LOCALITY, "minClusterSize": _NO_LOCALITY},
    "warmup": _NO_WARMUP,
    "warmupDurationSecs": _NO_WARMUP,
    "backendUtilization": Said("has no effect: endpoints are not asked how busy they are"),
}
_POOL: Fields = {
    "tcp": {
        "maxConnections": _YES,
        "connectTimeout": _YES,
        "tcpKeepalive": {"probes": _YES, "time": _YES, "interval": _YES},
        "maxConnectionDuration": _YES,
        "idleTimeout": "where `http.idleTimeout` does not say",
    },
    "http": {
        "http1MaxPendingRequests": _YES,
        "http2MaxRequests": _YES,
        "maxRequestsPerConnection": _YES,
        "maxRetries": _YES,
        "idleTimeout": _YES,
        "h2UpgradePolicy": "UPGRADE is refused: the port's protocol says what is spoken outside",
        "useClientProtocol": Said(
            "has no effect: the port's protocol says what is spoken outside", "write it there"
        ),
        "maxConcurrentStreams": _YES,
        "http2KeepAlive": Said("has no effect", "use tcp.tcpKeepalive"),
    },
}
_OUTLIERS: Fields = {
    "splitExternalLocalOriginErrors": "only with `consecutiveLocalOriginFailures`",
    "consecutiveLocalOriginFailures": _YES,
    "consecutiveGatewayErrors": _YES,
    "consecutive5xxErrors": _YES,
    "consecutiveErrors": "as `consecutiveGatewayErrors`",
    "interval": _YES,
    "baseEjectionTime": _YES,
    "maxEjectionPercent": _YES,
    "minHealthPercent": _YES,
    "failurePercentageThreshold": Said("has no effect: only consecutive errors are counted"),
    "outlierDetectionHttpErrorCodes": Said(
        "has no effect: all statuses of 500 and over are errors"
    ),
}
_OF_PORTS: Fields = {
    "loadBalancer": _LOAD_BALANCER,
    "connectionPool": _POOL,
    "outlierDetection": _OUTLIERS,
    "tls": _TLS,
}
_POLICY: Fields = {
    **_OF_PORTS,
    "tunnel": refused(
        "calls would go straight out, and not through the tunnel",
        "write an ExternalService with a proxy",
    ),
    "proxyProtocol": refused(
        "the PROXY protocol is not spoken to the outside, and the server may need it"
    ),
    "retryBudget": {
        "percent": _YES,
        "minRetryConcurrency": Said("has no effect: it is 3"),
        "budgetInterval": Said(
            "has no effect: the budget is a share of the requests that are active"
        ),
    },
}
DESTINATION_RULE: Fields = {
    "host": "of the rule's own namespace: a ServiceEntry's host as it is written there, or an ExternalName Service",
    "trafficPolicy": {**_POLICY, "portLevelSettings": {"port": {"number": _YES}, **_OF_PORTS}},
    "subsets": Said(
        "has no effect: subsets are not supported", "declare a host of its own for each"
    ),
    "exportTo": "`*`, or what sees the host anyway; else with a warning, as it holds for all callers of the host",
    "workloadSelector": _NO_SELECTOR,
}

_TEXT: Fields = {"exact": _YES, "prefix": _YES, "regex": _YES}
_DESTINATION: Fields = {"host": _YES, "subset": _NO_SUBSET, "port": {"number": _YES}}
_EDITS: Fields = {"set": {ANY: _YES}, "add": {ANY: _YES}, "remove": _YES}
_HEADERS: Fields = {"request": _EDITS, "response": _EDITS}
_HTTP_MATCH: Fields = {
    "name": "for who reads it",
    "uri": _TEXT,
    "scheme": "an exact `http`; applications here speak no other, so that all else is refused",
    "method": _TEXT,
    "authority": _TEXT,
    "headers": {ANY: _TEXT},
    "port": _YES,
    "sourceLabels": _NO_LABELS,
    "gateways": _GATEWAYS,
    "queryParams": {ANY: _TEXT},
    "ignoreUriCase": _YES,
    "withoutHeaders": {ANY: _TEXT},
    "sourceNamespace": _YES,
    "statPrefix": Said("has no effect: statistics are by destination"),
}
_NO_SUBNET = refused("calls cannot be told apart by their address", "use sourceNamespace")
_L4_MATCH: Fields = {
    "destinationSubnets": refused(
        "a host's addresses are the mesh's own here", "match by the host"
    ),
    "port": _YES,
    "sourceLabels": _NO_LABELS,
    "gateways": _GATEWAYS,
    "sourceNamespace": _YES,
}
_L4_ROUTE: Fields = {
    "destination": {
        "host": "the host itself: a route to another one is refused",
        "subset": _NO_SUBSET,
        "port": {"number": "the one that is called"},
    },
    "weight": _YES,
}
_PERCENT = {"value": _YES}
_HTTP: Fields = {
    "name": "for who reads it",
    "match": _HTTP_MATCH,
    "route": {"destination": _DESTINATION, "weight": _YES, "headers": _HEADERS},
    "redirect": {
        "uri": _YES,
        "authority": _YES,
        "port": _YES,
        "derivePort": Said("has no effect", "write the port"),
        "scheme": _YES,
        "redirectCode": _YES,
        "prefixRewrite": _YES,
    },
    "directResponse": {"status": _YES, "body": {"string": _YES, "bytes": "text in UTF-8"}},
    "delegate": refused("routes are not taken from other VirtualServices", "write them here"),
    "rewrite": {
        "uri": _YES,
        "authority": _YES,
        "uriRegexRewrite": {"match": _YES, "rewrite": _YES},
    },
    "timeout": _YES,
    "retries": {
        "attempts": _YES,
        "perTryTimeout": _YES,
        "retryOn": _YES,
        "retryRemoteLocalities": Said("has no effect: endpoints are called by their weights"),
        "retryIgnorePreviousHosts": Said("has no effect: endpoints are called by their weights"),
        "backoff": _YES,
    },
    "fault": {
        "delay": {
            "fixedDelay": _YES,
            "percentage": _PERCENT,
            "percent": _YES,
            "exponentialDelay": refused("only fixed delays are made", "write fixedDelay"),
        },
        "abort": {
            "httpStatus": _YES,
            "grpcStatus": _YES,
            "http2Error": refused("only statuses are answered", "write httpStatus or grpcStatus"),
            "percentage": _PERCENT,
        },
    },
    "mirror": _DESTINATION,
    "mirrors": {"destination": _DESTINATION, "percentage": _PERCENT},
    "mirrorPercentage": _PERCENT,
    "mirrorPercent": _YES,
    "mirror_percent": _YES,
    "corsPolicy": Said(
        "has no effect: it is for browsers, and these do not call through an egress"
    ),
    "headers": _HEADERS,
}
VIRTUAL_SERVICE: Fields = {
    "hosts": "a ServiceEntry's hosts as they are written there, and ExternalName Services",
    "gateways": _GATEWAYS,
    "http": _HTTP,
    "tls": {"match": {"sniHosts": _YES, **_L4_MATCH}, "route": _L4_ROUTE},
    "tcp": {"match": {"sourceSubnet": _NO_SUBNET, **_L4_MATCH}, "route": _L4_ROUTE},
    "exportTo": "of callers outside its own namespace, it holds for those of a host that its own namespace declares",
}

_INBOUND = Said("has no effect: calls to a workload are not what Outgate is there for")
SIDECAR: Fields = {
    "workloadSelector": {"labels": {ANY: _YES}},
    "ingress": _INBOUND,
    "egress": {
        "port": Said("has no effect: a host's own ports are what can be called"),
        "bind": Said("has no effect: hosts have the addresses that the mesh gives them"),
        "captureMode": "DEFAULT and IPTABLES, which are what is done; NONE has no effect, with a warning",
        "hosts": "`*/*`; a list that leaves something out is refused: what may be called, an EgressPolicy says",
    },
    "inboundConnectionPool": _INBOUND,
    "outboundTrafficPolicy": {
        "mode": "REGISTRY_ONLY, which is what is always done; ALLOW_ANY is refused",
        "egressProxy": refused("calls would go straight out, and not through that proxy"),
    },
}

TABLES = {
    "ServiceEntry": SERVICE_ENTRY,
    "DestinationRule": DESTINATION_RULE,
    "VirtualService": VIRTUAL_SERVICE,
    "Sidecar": SIDECAR,
}
