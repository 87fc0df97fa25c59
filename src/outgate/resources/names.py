"""Rules for names, as Kubernetes has them: what is wrong with one, and what is allowed instead.

The rules are those of `k8s.io/apimachinery/pkg/util/validation`; each function gives None for a
valid name. `hosts` has the stricter ones for the DNS names of external services.
"""

import re
from dataclasses import dataclass

from outgate.resources.paths import quote
from outgate.resources.problems import Severity

LABEL_LENGTH = 63
NAME_LENGTH = 253
PORT_NAME_LENGTH = 15

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_SEPARATORS = re.compile(r"[^a-z0-9]+")

_LABEL_RULE = 'lower-case letters, digits and "-" are allowed, with a letter or digit at both ends'
_LABEL_1035_RULE = (
    'lower-case letters, digits and "-" are allowed, with a letter first and a letter or digit last'
)
_SUBDOMAIN_RULE = (
    'labels of lower-case letters, digits and "-" are allowed, joined by ".", '
    "each with a letter or digit at both ends"
)
_PORT_NAME_RULE = (
    'lower-case letters, digits and single, inner "-" are allowed, with at least one letter'
)
_QUALIFIED_RULE = (
    'letters, digits, "-", "_" and "." are allowed, with a letter or digit at both ends'
)


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with one value: the parts of a `Problem` that do not say where it is."""

    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR


def dns_label(value: str) -> Flaw | None:
    """DNS-1123 label, as namespaces and the ports of Services have: `httpbin`, `1st-port`."""
    return _check(value, "a DNS label", _LABEL, LABEL_LENGTH, _LABEL_RULE)


def service_name(value: str) -> Flaw | None:
    """DNS-1035 label, as Services have: a DNS-1123 label whose first character is a letter."""
    return _check(value, "a Service name", _LABEL_1035, LABEL_LENGTH, _LABEL_1035_RULE)


def dns_subdomain(value: str) -> Flaw | None:
    """DNS-1123 subdomain, as most names of objects are: labels joined by dots, 253 in all."""
    return _check(value, "a DNS name", _SUBDOMAIN, NAME_LENGTH, _SUBDOMAIN_RULE)


def port_name(value: str) -> Flaw | None:
    """IANA_SVC_NAME (RFC 6335, section 5.1), as the ports of containers have."""
    return _check(value, "a port name", _PORT_NAME, PORT_NAME_LENGTH, _PORT_NAME_RULE)


def qualified_name(value: str) -> Flaw | None:
    """Key of a label or annotation: a name, or a DNS subdomain, "/" and a name."""
    prefix, slash, name = value.rpartition("/")
    if slash and (flaw := dns_subdomain(prefix)):
        return Flaw(f'before the "/", {flaw.message}', flaw.hint)
    return _check(name, "a qualified name", _QUALIFIED, LABEL_LENGTH, _QUALIFIED_RULE)


def label_value(value: str) -> Flaw | None:
    """Value of a label; it may be empty."""
    if not value:
        return None
    return _check(value, "a label value", _QUALIFIED, LABEL_LENGTH, _QUALIFIED_RULE)


def _check(value: str, what: str, form: re.Pattern[str], longest: int, rule: str) -> Flaw | None:
    if len(value) > longest:
        return Flaw(
            f"{quote(value)} is {len(value)} characters long, at most {longest} are allowed"
        )
    if form.fullmatch(value):
        return None
    nearest = _SEPARATORS.sub("-", value.lower()).strip("-")
    hint = f"for example {nearest}" if nearest != value and form.fullmatch(nearest) else ""
    return Flaw(f"{quote(value)} is not {what}: {rule}" if value else f"is empty: {rule}", hint)
