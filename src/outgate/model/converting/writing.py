"""Writes a destination as the spec of an ExternalService: the inverse of how that is read."""

from collections.abc import Iterable, Mapping
from typing import Any

from outgate.model.converting import upstreams
from outgate.model.converting.plain import compact, duration
from outgate.model.converting.simplifying import common
from outgate.model.destinations import External, Port
from outgate.traffic.references import Target
from outgate.traffic.routing import (
    Backend,
    Comparison,
    Edits,
    Fault,
    Field,
    Match,
    Redirect,
    Retries,
    Rewrite,
    Rule,
    Text,
)
from outgate.traffic.upstream import Upstream

_COMPARED = {
    Comparison.EXACT: "exact",
    Comparison.PREFIX: "prefix",
    Comparison.SUFFIX: "suffix",
    Comparison.REGEX: "regex",
}
_PATHS = {
    Comparison.EXACT: "exact",
    Comparison.PATH_PREFIX: "prefix",
    Comparison.REGEX: "regex",
}


def spec(external: External, hosts: Iterable[str]) -> dict[str, Any]:
    """Return the spec for a destination that was simplified, of which there is one for each of `hosts`."""
    namespace = external.name.namespace
    upstream = common(external) or Upstream()
    rules = external.rules
    # What is said of every request needs no rule.
    single = rules[0] if len(rules) == 1 and _is_plain(rules[0]) else None
    behaviour = _behaviour(single) if single else {}
    written = [] if single else [_rule(each, namespace) for each in rules]
    return compact(
        {
            "hosts": list(hosts),
            "addresses": [str(each) for each in external.networks],
            "exportTo": _export(external.visible, namespace),
            "ports": [_port(each) for each in external.ports],
            **upstreams.write(upstream),
            **behaviour,
            "rules": written,
        },
        "outlierDetection",
    )


def _export(visible: frozenset[str] | None, namespace: str) -> list[str]:
    if visible is None:
        return ["*"]
    return ["." if each == namespace else each for each in sorted(visible)]


def _port(port: Port) -> dict[str, Any]:
    tls = port.upstream.tls
    return compact(
        {
            "name": port.name,
            "port": port.number,
            "targetPort": port.target,
            "protocol": port.protocol.name,
        }
    ) | ({"tls": upstreams.tls(tls)} if tls is not None else {})


def _is_plain(rule: Rule) -> bool:
    chosen = (rule.matches, rule.ports, rule.backends, rule.mirrors)
    answered = (rule.redirect, rule.answer, rule.rewrite)
    return not any(chosen) and all(each is None for each in answered)


def _rule(rule: Rule, namespace: str) -> dict[str, Any]:
    mirrors = [_target(each.target, namespace) | {"percent": each.percent} for each in rule.mirrors]
    answer = rule.answer
    return compact(
        {
            "matches": [_match(each) for each in rule.matches],
            "ports": list(rule.ports),
            "rewrite": _rewrite(rule.rewrite) if rule.rewrite else None,
            "redirect": _redirect(rule.redirect) if rule.redirect else None,
            "directResponse": compact({"status": answer.status, "body": answer.body})
            if answer
            else None,
            "backends": [_backend(each, namespace) for each in rule.backends],
            "mirror": mirrors,
            **_behaviour(rule),
        }
    )


def _behaviour(rule: Rule) -> dict[str, Any]:
    return compact(
        {
            "timeouts": compact(
                {
                    "request": duration(rule.timeouts.request),
                    "idle": duration(rule.timeouts.idle),
                }
            ),
            "retries": _retries(rule.retries) if rule.retries else None,
            "fault": _fault(rule.fault) if rule.fault else None,
            "requestHeaders": _edits(rule.request),
            "responseHeaders": _edits(rule.response),
            "maxRequestBody": None if rule.max_body is None else str(rule.max_body),
            "decompress": rule.decompress,
        }
    )


def _retries(retries: Retries) -> dict[str, Any]:
    backoff = compact({"base": duration(retries.backoff), "max": duration(retries.backoff_max)})
    return {"attempts": retries.attempts} | compact(
        {
            "retryOn": list(retries.on),
            "statuses": list(retries.statuses),
            "perTryTimeout": duration(retries.per_try),
            "perTryIdleTimeout": duration(retries.per_try_idle),
            "backoff": backoff,
            "hedge": retries.hedge,
        }
    )


def _fault(fault: Fault) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if fault.delay is not None:
        found["delay"] = {"duration": duration(fault.delay), "percent": fault.delay_percent}
    if fault.abort is not None or fault.grpc_abort is not None:
        answer = {"status": fault.abort, "grpcStatus": fault.grpc_abort}
        said = {key: value for key, value in answer.items() if value is not None}
        found["abort"] = said | {"percent": fault.abort_percent}
    return found


def _edits(edits: Edits) -> dict[str, Any]:
    return compact({"set": dict(edits.put), "add": dict(edits.add), "remove": list(edits.remove)})


def _text(text: Text, names: Mapping[Comparison, str]) -> dict[str, Any]:
    if text.comparison is Comparison.PRESENT:
        return {}
    found: dict[str, Any] = {names[text.comparison]: text.value}
    return found | ({"ignoreCase": True} if text.ignore_case else {})


def _match(match: Match) -> dict[str, Any]:
    return compact(
        {
            "path": _text(match.path, _PATHS) if match.path else None,
            "methods": list(match.methods),
            "headers": [_field(each) for each in match.headers],
            "query": [_field(each) for each in match.query],
        }
    )


def _field(field: Field) -> dict[str, Any]:
    inverted = {"invert": True} if field.inverted else {}
    return {"name": field.name, **_text(field.text, _COMPARED), **inverted}


def _rewrite(rewrite: Rewrite) -> dict[str, Any]:
    by_regex = {"pattern": rewrite.regex, "substitution": rewrite.substitution}
    return compact(
        {
            "fullPath" if rewrite.whole else "path": rewrite.path,
            "regex": by_regex if rewrite.regex else None,
            "host": rewrite.host,
        }
    )


def _redirect(redirect: Redirect) -> dict[str, Any]:
    return compact(
        {
            "scheme": redirect.scheme,
            "host": redirect.host,
            "port": redirect.port,
            "path": redirect.path,
            "prefix": redirect.prefix,
            "status": redirect.status,
        }
    )


def _backend(backend: Backend, namespace: str) -> dict[str, Any]:
    return compact(
        {
            **_target(backend.target, namespace),
            "failover": [_target(each, namespace) for each in backend.failover],
            "requestHeaders": _edits(backend.request),
            "responseHeaders": _edits(backend.response),
        }
    ) | {"weight": backend.weight}


def _target(target: Target, namespace: str) -> dict[str, Any]:
    elsewhere = target.namespace if target.namespace != namespace else ""
    kind = "host" if "." in target.name else "service"
    return compact({kind: target.name, "namespace": elsewhere, "port": target.port})
