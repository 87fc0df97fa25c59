"""The project's own kinds to declarations: a destination for each host, with the rules that hold for calls of it."""

from dataclasses import fields, replace

from outgate.model.declarations import Declarations, Source
from outgate.model.destinations import EVERYWHERE, External, Port
from outgate.model.names import Name
from outgate.resources.native.behaviours import Behaviour
from outgate.resources.native.egress_policy import EgressPolicy
from outgate.resources.native.external_service import ExternalService, PortSpec
from outgate.resources.native.policy_rules import CalleeSpec, CredentialSpec, PolicyRuleSpec
from outgate.resources.native.routing import BackendSpec, RuleSpec
from outgate.resources.native.tls import TlsSpec
from outgate.traffic.permitting import Callee, Credential, Policy, PolicyRule
from outgate.traffic.references import FileKey, Protocol, SecretKey
from outgate.traffic.routing import Backend, Edits, Mirror, Rule, Timeouts
from outgate.traffic.upstream import Tls, Upstream

_CERTIFICATE, _KEY = "tls.crt", "tls.key"


def external_service(resource: ExternalService) -> Declarations:
    """Return what an ExternalService declares."""
    metadata = resource.metadata
    source = Source("ExternalService", metadata.namespace, metadata.name)
    ports = tuple(_port(each, resource.upstream, metadata.namespace) for each in resource.ports)
    rules = _rules(resource, str(source))
    destinations = tuple(
        External(
            Name(metadata.namespace, host),
            host,
            ports,
            metadata.creation_timestamp,
            visible=_visible(resource),
            rules=rules,
            networks=resource.addresses,
            source=str(source),
        )
        for host in resource.hosts
    )
    return Declarations(
        source, resource.location, metadata.creation_timestamp, destinations=destinations
    )


def _visible(resource: ExternalService) -> frozenset[str] | None:
    own = resource.metadata.namespace
    if "*" in resource.export_to:
        return EVERYWHERE
    return frozenset(own if each == "." else each for each in resource.export_to)


def _port(port: PortSpec, common: Upstream, namespace: str) -> Port:
    tls = port.tls
    if tls is None and port.protocol is Protocol.HTTPS:
        tls = TlsSpec()
    upstream = common if tls is None else replace(common, tls=_tls(tls, namespace))
    return Port(port.number, port.protocol, port.name, port.target, upstream)


def _tls(spec: TlsSpec, namespace: str) -> Tls:
    made = Tls(
        spec.sni,
        spec.names,
        spec.ca.material(namespace) if spec.ca else None,
        minimum=spec.minimum,
        maximum=spec.maximum,
        ciphers=spec.ciphers,
        verify=not spec.skip_verify,
    )
    client = spec.client
    if client is None:
        return made
    if client.secret is None:
        return replace(made, certificate=FileKey(client.certificate), key=FileKey(client.key))
    name = client.secret.name
    return replace(
        made,
        certificate=SecretKey(namespace, name, _CERTIFICATE),
        key=SecretKey(namespace, name, _KEY),
    )


def _rules(resource: ExternalService, source: str) -> tuple[Rule, ...]:
    """Return a rule for each that is written, and a last one for all other requests; none where nothing is said."""
    common = resource.behaviour
    if not resource.rules and common == Behaviour():
        return ()
    namespace = resource.metadata.namespace
    written = [_rule(each, common, namespace, source) for each in resource.rules]
    return (*written, _rule(RuleSpec(), common, namespace, source))


def _rule(spec: RuleSpec, common: Behaviour, namespace: str, source: str) -> Rule:
    said = _over(spec.behaviour, common)
    return Rule(
        matches=spec.matches,
        ports=spec.ports,
        backends=tuple(_backend(each, namespace) for each in spec.backends),
        redirect=spec.redirect,
        answer=spec.answer,
        rewrite=spec.rewrite,
        request=said.request or Edits(),
        response=said.response or Edits(),
        timeouts=said.timeouts or Timeouts(),
        retries=said.retries,
        fault=said.fault,
        mirrors=tuple(Mirror(each.to.target(namespace), each.percent) for each in spec.mirrors),
        max_body=said.max_body,
        decompress=bool(said.decompress),
        source=source,
    )


def _over(rule: Behaviour, common: Behaviour) -> Behaviour:
    """Return what a rule says, and for the rest what is said of all requests."""
    said = {each.name: getattr(rule, each.name) for each in fields(rule)}
    return replace(common, **{name: value for name, value in said.items() if value is not None})


def _backend(spec: BackendSpec, namespace: str) -> Backend:
    return Backend(
        spec.to.target(namespace),
        spec.weight,
        tuple(each.target(namespace) for each in spec.failover),
        spec.request,
        spec.response,
    )


def egress_policy(resource: EgressPolicy) -> Declarations:
    """Return what an EgressPolicy declares."""
    metadata = resource.metadata
    source = Source("EgressPolicy", metadata.namespace, metadata.name)
    rules = tuple(_policy_rule(each, metadata.namespace) for each in resource.rules)
    policy = Policy(metadata.namespace, metadata.name, resource.subject, rules, resource.mode)
    return Declarations(source, resource.location, metadata.creation_timestamp, policies=(policy,))


def _policy_rule(spec: PolicyRuleSpec, namespace: str) -> PolicyRule:
    return PolicyRule(
        spec.action,
        tuple(_callee(each, namespace) for each in spec.to),
        spec.http,
        spec.rate_limit,
        spec.global_limit,
        _credential(spec.credential, namespace),
    )


def _credential(spec: CredentialSpec | None, namespace: str) -> Credential | None:
    if spec is None:
        return None
    return Credential(spec.header, spec.value.material(namespace), spec.prefix)


def _callee(spec: CalleeSpec, namespace: str) -> Callee:
    if not spec.external_service and not spec.service:
        return Callee(host=spec.host, ports=spec.ports)
    kind = "ExternalService" if spec.external_service else "Service"
    name = spec.external_service or spec.service
    return Callee(kind, spec.namespace or namespace, name, ports=spec.ports)
