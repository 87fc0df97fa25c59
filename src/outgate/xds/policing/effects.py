"""What a rule that allows a call does to it: counts it, asks a rate-limit service, or puts a credential in.

All three know the rule by what the RBAC filter wrote into the call's metadata, so that only calls that it allowed for
that rule are touched, whatever else they may look like.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from outgate.model.policies import Ruling
from outgate.traffic.permitting import Credential, GlobalLimit, LocalLimit, Share
from outgate.xds import building, naming
from outgate.xds import extensions as ext
from outgate.xds.building import typed
from outgate.xds.policing import trees
from outgate.xds.policing.trees import FieldMatcher, Predicate

DECIDED = "policy_enforced_effective_policy_id"
"""Key of the rule's name in the metadata that the RBAC filter writes."""
PODS_COUNTED = 4096
"""Pods that a limit for each pod is counted for at once, by each egress Envoy; of more, the one longest idle is
forgotten, and begins anew."""
_UNLIMITED = 4294967295
ADS = {"ads": {}, "resource_api_version": "V3"}


@dataclass(frozen=True, slots=True)
class Counting:
    """A rate-limit service: `cluster` leads to it; `closed`: calls are refused while it does not answer."""

    cluster: str
    closed: bool = True
    seconds: float = 1.0


def local_limits(found: Iterable[tuple[str, Ruling]]) -> dict[str, Any]:
    """Return the local rate limits of rules, each with its namespace, as a filter's configuration."""
    descriptors = [
        _descriptor(namespace, ruling.name, ruling.rule.local_limit)
        for namespace, ruling in found
        if ruling.rule.local_limit is not None
    ]
    name = "extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
    if not descriptors:
        return typed(name, stat_prefix="policy")
    always = {"default_value": {"numerator": 100}}
    of_pod = {"request_headers": {"header_name": naming.POD_HEADER, "descriptor_key": "pod"}}
    return typed(
        name,
        stat_prefix="policy",
        filter_enabled=always,
        filter_enforced=always,
        always_consume_default_token_bucket=False,
        max_dynamic_descriptors=PODS_COUNTED,
        token_bucket={
            "max_tokens": _UNLIMITED,
            "tokens_per_fill": _UNLIMITED,
            "fill_interval": "0.050s",
        },
        rate_limits=[{"actions": [*_rule_keys(), of_pod]}, {"actions": _rule_keys()}],
        descriptors=descriptors,
    )


def _rule_keys() -> list[dict[str, Any]]:
    header = {"header_name": naming.NAMESPACE_HEADER, "descriptor_key": "namespace"}
    path = {"key": trees.RBAC_METADATA, "path": [{"key": DECIDED}]}
    rule = {"descriptor_key": "rule", "metadata_key": path, "source": "DYNAMIC"}
    return [{"request_headers": header}, {"metadata": rule}]


def _descriptor(namespace: str, rule: str, limit: LocalLimit) -> dict[str, Any]:
    entries = [{"key": "namespace", "value": namespace}, {"key": "rule", "value": rule}]
    if limit.share is Share.POD:
        # Without a value: each has a bucket of its own.
        entries.append({"key": "pod"})
    return {
        "entries": entries,
        "token_bucket": {
            "max_tokens": limit.burst or limit.requests,
            "tokens_per_fill": limit.requests,
            "fill_interval": f"{limit.seconds:.3f}s",
        },
    }


def limiting(limit: GlobalLimit, counting: Counting) -> dict[str, Any]:
    """Return the filter that asks the rate-limit service about a call."""
    actions = [
        {"generic_key": {"descriptor_key": key, "descriptor_value": value}}
        for key, value in limit.descriptors
    ]
    config = typed(
        "extensions.filters.http.ratelimit.v3.RateLimit",
        domain=limit.domain,
        timeout=f"{counting.seconds:.3f}s",
        failure_mode_deny=counting.closed,
        status_on_error={"code": "ServiceUnavailable"},
        rate_limit_service={
            "grpc_service": {"envoy_grpc": {"cluster_name": counting.cluster}},
            "transport_api_version": "V3",
        },
        rate_limits=[{"actions": actions}],
    )
    return {"name": "envoy.filters.http.ratelimit", "typed_config": config}


def injecting(credential: Credential) -> dict[str, Any]:
    """Return the filter that replaces a header by a secret; without one it refuses the call."""
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


def composite(parts: dict[str, list[FieldMatcher]]) -> Any:
    """Return the filter that runs others as namespaces' rules ask for, or none at all."""
    found = {
        name: trees.nested(trees.listed(entries))
        for name, entries in sorted(parts.items())
        if entries
    }
    if not found:
        # A namespace cannot have this name.
        found = {"/": trees.acting("skip", ext.skip.SkipFilter())}
    message = ext.extension_matcher.ExtensionWithMatcher()
    message.xds_matcher.CopyFrom(trees.by_header(naming.NAMESPACE_HEADER, found))
    message.extension_config.name = "envoy.filters.http.composite"
    message.extension_config.typed_config.CopyFrom(building.pack(ext.composite.Composite()))
    return message
