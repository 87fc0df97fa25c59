"""TLS that the egress opens: chain and name are verified, unless a resource says otherwise in so many words."""

import ipaddress

from outgate.model.destinations import External, Port
from outgate.traffic.references import Protocol
from outgate.traffic.upstream import Tls
from outgate.xds import building, naming
from outgate.xds import extensions as ext

_VERSIONS = {
    "": ext.tls_common.TlsParameters.TLS_AUTO,
    "1.0": ext.tls_common.TlsParameters.TLSv1_0,
    "1.1": ext.tls_common.TlsParameters.TLSv1_1,
    "1.2": ext.tls_common.TlsParameters.TLSv1_2,
    "1.3": ext.tls_common.TlsParameters.TLSv1_3,
}
FETCH_SECONDS = 2
"""How long a cluster may wait for a secret before others go on without it; its calls fail until it has it."""
NOT_VERIFIED = "the certificate of the server is not verified"
"""What is in the metadata of a cluster whose resource asks for that."""


def of(port: Port) -> Tls | None:
    """Return the TLS of a port; None where connections go on as they came."""
    if port.protocol is Protocol.TLS:
        return None
    if port.protocol is Protocol.HTTPS:
        return port.upstream.tls or Tls(names=port.upstream.names or ())
    return port.upstream.tls


def authority(host: str, port: Port) -> str:
    """Return the Host that goes out to a port: a number stands in it only where it is not the scheme's own.

    RFC 9110, section 7.2.
    """
    default = port.outside == (80 if of(port) is None else 443)
    return host if default else f"{host}:{port.outside}"


def originate(message: ext.cluster.Cluster, service: External, tls: Tls, ca_file: str) -> None:
    """Let a cluster open TLS. For a wildcard, what it does not say is taken from each call (`http_options`)."""
    host = "" if service.is_wildcard else service.host
    context = ext.tls.UpstreamTlsContext(sni=tls.sni or host)
    common = context.common_tls_context
    params = common.tls_params
    params.tls_minimum_protocol_version = _VERSIONS[tls.minimum or "1.2"]
    # As a client Envoy would stop at 1.2.
    params.tls_maximum_protocol_version = _VERSIONS[tls.maximum or "1.3"]
    params.cipher_suites.extend(tls.ciphers)
    if tls.certificate is not None and tls.key is not None:
        name = naming.client_certificate(tls.certificate, tls.key)
        _fetch(common.tls_certificate_sds_secret_configs.add(), name)
    if tls.verify:
        _verify(common, tls, tls.names or ((host,) if host else ()), ca_file)
    else:
        message.metadata.filter_metadata[naming.METADATA].update({"insecure": NOT_VERIFIED})
    message.transport_socket.name = "envoy.transport_sockets.tls"
    message.transport_socket.typed_config.CopyFrom(building.pack(context))


def _verify(
    common: ext.tls.CommonTlsContext, tls: Tls, names: tuple[str, ...], ca_file: str
) -> None:
    if tls.ca is None:
        validation = common.validation_context
        validation.trusted_ca.filename = ca_file
    else:
        validation = common.combined_validation_context.default_validation_context
        # Envoy wants it also where each call says the name.
        validation.SetInParent()
        _fetch(
            common.combined_validation_context.validation_context_sds_secret_config,
            naming.trusted(tls.ca),
        )
    for name in names:
        matcher = validation.match_typed_subject_alt_names.add()
        matcher.san_type = _kind(name)
        matcher.matcher.exact = name


def _kind(name: str) -> "ext.tls_common.SubjectAltNameMatcher.SanType.ValueType":
    if "://" in name:
        return ext.tls_common.SubjectAltNameMatcher.URI
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return ext.tls_common.SubjectAltNameMatcher.DNS
    return ext.tls_common.SubjectAltNameMatcher.IP_ADDRESS


def _fetch(config: ext.secret.SdsSecretConfig, name: str) -> None:
    config.name = name
    config.sds_config.ads.SetInParent()
    config.sds_config.resource_api_version = ext.config_source.V3
    config.sds_config.initial_fetch_timeout.FromSeconds(FETCH_SECONDS)
