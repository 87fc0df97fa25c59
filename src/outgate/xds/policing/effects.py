"""What a rule that allows a call does to it: counts it, asks a rate-limit service, or puts a credential in.

All three know the rule by what the RBAC filter wrote into the call's metadata, so that only calls that it allowed for
that rule are touched, whatever else they may look like.
"""

from dataclasses import dataclass
from typing import Any

from outgate.model.policies import Ruling
from outgate.traffic.permitting import Credential, GlobalLimit, LocalLimit, Share
from outgate.xds import building, inner, naming
from outgate.xds import extensions as ext
from outgate.xds.building import ADS, seconds, typed
from outgate.xds.policing import trees
from outgate.xds.policing.filters import answering
from outgate.xds.policing.trees import FieldMatcher, Predicate
from outgate.xds.snapshot import Resource

DECIDED = "policy_enforced_effective_policy_id"
"""Key of the rule's name in the metadata that the RBAC filter writes."""
PODS_COUNTED = 4096
"""Pods that a limit for each pod is counted for at once, by each egress Envoy; of more, the one longest idle is
forgotten, and begins anew."""
_UNLIMITED = 4294967295


COUNTING = "rate-limit-service"
"""The cluster that leads to the rate-limit service."""


@dataclass(frozen=True, slots=True)
class Counting:
    """A rate-limit service at a place (`HOST:PORT`); `closed`: calls are refused while it does not answer."""

    place: str
    closed: bool = True
    seconds: float = 1.0

    def cluster(self) -> Resource:
        """Return the way there: the operator's own service, which may be anywhere."""
        host, _, port = self.place.rpartition(":")
        address = {"address": host.strip("[]"), "port_value": int(port)}
        options = typed(
            "extensions.upstreams.http.v3.HttpProtocolOptions",
            explicit_http_config={"http2_protocol_options": {}},
        )
        endpoint = {"endpoint": {"address": {"socket_address": address}}}
        return building.any_cluster(
            {
                "name": COUNTING,
                "type": "STRICT_DNS",
                "connect_timeout": seconds(self.seconds),
                "load_assignment": {
                    "cluster_name": COUNTING,
                    "endpoints": [{"lb_endpoints": [endpoint]}],
                },
                "typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
                },
            }
        )


def vault(credential: Credential) -> tuple[Resource, ...]:
    """Return where a credential is kept, an inner listener that answers with it, or 401 without it; and the way there.

    Filters that come as resources of their own may not ask for secrets: Envoy 1.40 then uses what belongs to the
    listener as it was begun, and that is freed once the listener has changed, so that all of the egress crashes.
    """
    name = naming.vault(credential)
    shown = {"key": credential.header, "value": f"%REQ({credential.header})%"}
    told = {"header": shown, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return (
        answering(name, (_injecting(credential),), (told,)),
        building.cluster(inner.to_listeners(name, (name,))),
    )


def counters(namespace: str, ruling: Ruling, limit: LocalLimit) -> tuple[Resource, ...]:
    """Return the place where a rule's calls are counted: an inner listener that answers 200 or 429, and the way there.

    Each rule has its own, so that nothing else that changes begins its count anew, and all pods' listeners share it.
    """
    name = _place(namespace, ruling, limit)
    run = {"name": "envoy.filters.http.local_ratelimit", "typed_config": _bucket(limit)}
    return answering(name, (run,)), building.cluster(inner.to_listeners(name, (name,)))


def _bucket(limit: LocalLimit) -> dict[str, Any]:
    interval = seconds(limit.seconds)
    bucket = {
        "max_tokens": limit.burst or limit.requests,
        "tokens_per_fill": limit.requests,
        "fill_interval": interval,
    }
    always = {"default_value": {"numerator": 100}}
    name = "extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
    common = {"stat_prefix": "limit", "filter_enabled": always, "filter_enforced": always}
    if limit.share is Share.ALL:
        return typed(name, **common, token_bucket=bucket)
    of_pod = {"request_headers": {"header_name": naming.POD_HEADER, "descriptor_key": "pod"}}
    unlimited = {"max_tokens": _UNLIMITED, "tokens_per_fill": _UNLIMITED, "fill_interval": interval}
    return typed(
        name,
        **common,
        token_bucket=unlimited,
        always_consume_default_token_bucket=False,
        max_dynamic_descriptors=PODS_COUNTED,
        rate_limits=[{"actions": [of_pod]}],
        # Without a value: each has a bucket of its own.
        descriptors=[{"entries": [{"key": "pod"}], "token_bucket": bucket}],
    )


def _place(namespace: str, ruling: Ruling, limit: LocalLimit) -> str:
    # Another limit is another place: connections to the one before would go on being counted there for a while.
    said = f"{limit.requests}/{limit.seconds:g}/{limit.burst}/{limit.share}"
    return naming.limit(namespace, f"{ruling.key}|{said}")


def counted(namespace: str, ruling: Ruling, limit: LocalLimit) -> dict[str, Any]:
    """Return the filter that has a call counted."""
    return _asking(_place(namespace, ruling, limit), sent=naming.POD_HEADER)


def _asking(place: str, *, sent: str = "", taken: str = "") -> dict[str, Any]:
    """Return the filter that asks an inner listener about a call: with one header of it, or for one."""
    service: dict[str, Any] = {
        "server_uri": {"uri": "http://inside", "cluster": place, "timeout": "1s"}
    }
    said: dict[str, Any] = {}
    if sent:
        said = {"allowed_headers": {"patterns": [{"exact": sent}]}}
    if taken:
        patterns = {"patterns": [{"exact": taken}]}
        service["authorization_response"] = {"allowed_upstream_headers": patterns}
    config = typed(
        "extensions.filters.http.ext_authz.v3.ExtAuthz",
        stat_prefix="limit",
        transport_api_version="V3",
        status_on_error={"code": "ServiceUnavailable"},
        http_service=service,
        **said,
    )
    return {"name": "envoy.filters.http.ext_authz", "typed_config": config}


def limiting(limit: GlobalLimit, counting: Counting) -> dict[str, Any]:
    """Return the filter that asks the rate-limit service about a call."""
    actions = [
        {"generic_key": {"descriptor_key": key, "descriptor_value": value}}
        for key, value in limit.descriptors
    ]
    config = typed(
        "extensions.filters.http.ratelimit.v3.RateLimit",
        domain=limit.domain,
        timeout=seconds(counting.seconds),
        failure_mode_deny=counting.closed,
        status_on_error={"code": "ServiceUnavailable"},
        rate_limit_service={
            "grpc_service": {"envoy_grpc": {"cluster_name": COUNTING}},
            "transport_api_version": "V3",
        },
        rate_limits=[{"actions": actions}],
    )
    return {"name": "envoy.filters.http.ratelimit", "typed_config": config}


def fetched(credential: Credential) -> dict[str, Any]:
    """Return the filter that replaces a header of a call by the credential; without one it refuses the call."""
    return _asking(naming.vault(credential), taken=credential.header)


def _injecting(credential: Credential) -> dict[str, Any]:
    generic = typed(
        "extensions.http.injected_credentials.generic.v3.Generic",
        header=credential.header,
        credential={"name": naming.credential(credential), "sds_config": ADS},
    )
    config = typed(
        "extensions.filters.http.credential_injector.v3.CredentialInjector",
        overwrite=True,
        credential={"name": "envoy.http.injected_credentials.generic", "typed_config": generic},
    )
    return {"name": "envoy.filters.http.credential_injector", "typed_config": config}


def chosen(rule: str, run: dict[str, Any]) -> FieldMatcher:
    """Return an entry that has a filter run on calls which a rule allowed."""
    action = building.parse({"typed_config": run}, ext.composite.ExecuteFilterAction())
    return trees.entry(_allowed_by(rule), trees.acting("run", action))


def _allowed_by(rule: str) -> Predicate:
    predicate = ext.matcher.Matcher.MatcherList.Predicate()
    found = predicate.single_predicate
    found.input.name = "metadata"
    written = ext.network_inputs.DynamicMetadataInput(filter=trees.RBAC_METADATA)
    written.path.add().key = DECIDED
    found.input.typed_config.CopyFrom(building.pack(written))
    wanted = ext.metadata_matcher.Metadata()
    wanted.value.string_match.exact = rule
    found.custom_match.name = "metadata"
    found.custom_match.typed_config.CopyFrom(building.pack(wanted))
    return predicate
