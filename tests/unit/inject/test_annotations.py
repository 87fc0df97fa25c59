from typing import Any

import pytest

from outgate.errors import UsageError
from outgate.inject import annotations, pod
from outgate.inject.options import Options
from outgate.model.ranges import parse_ranges

SPEC: dict[str, Any] = {"containers": [{"name": "app"}]}


def arguments(said: dict[str, Any], **options: Any) -> list[str]:
    template = {"metadata": {"annotations": said}, "spec": SPEC}
    assert pod.problem(template) is None
    found = pod.inject(template, Options(**options))["spec"]["initContainers"][0]["args"]
    known = ("--include", "--exclude")
    return [each for each in found if each.startswith(known) and "--exclude-from" not in each]


@pytest.mark.parametrize(
    ("own", "istio", "value", "flag"),
    [
        ("include-ip-ranges", "includeOutboundIPRanges", "10.0.0.1/24", "--include=10.0.0.0/24"),
        ("exclude-ip-ranges", "excludeOutboundIPRanges", "fd00::/8", "--exclude=fd00::/8"),
        ("include-ports", "includeOutboundPorts", "443, 80", "--include-ports=443,80"),
        ("exclude-ports", "excludeOutboundPorts", "5432", "--exclude-ports=5432"),
    ],
)
def test_both_names_say_the_same(own: str, istio: str, value: str, flag: str) -> None:
    assert arguments({f"outgate.dev/{own}": value}) == [flag]
    assert arguments({f"traffic.sidecar.istio.io/{istio}": value}) == [flag]
    both = {f"traffic.sidecar.istio.io/{istio}": "", f"outgate.dev/{own}": value}
    assert arguments(both) == [flag], "ours wins"


@pytest.mark.parametrize(
    ("said", "flag", "include", "expected"),
    [
        ({}, True, "", ["--dns-port=15053"]),
        ({}, True, "10.0.0.0/8", ["--dns-port=15054"]),
        ({"outgate.dev/include-ip-ranges": "10.0.0.0/8"}, True, "", ["--dns-port=15054"]),
        ({"outgate.dev/dns-capture": "false"}, True, "", []),
        ({"outgate.dev/dns-capture": "True"}, False, "", ["--dns-port=15053"]),
        ({}, False, "10.0.0.0/8", []),
    ],
)
def test_dns_is_captured_unless_it_is_switched_off(
    said: dict[str, str], flag: bool, include: str, expected: list[str]
) -> None:
    template = {"metadata": {"annotations": said}, "spec": SPEC}
    options = Options(dns_capture=flag, include=parse_ranges(include, ""))
    args = pod.inject(template, options)["spec"]["initContainers"][0]["args"]
    assert [each for each in args if each.startswith("--dns-port")] == expected


def test_an_annotation_wins_over_a_flag() -> None:
    include = parse_ranges("192.0.2.0/24", "")
    assert arguments({}, include=include) == ["--include=192.0.2.0/24"]
    assert arguments({"outgate.dev/include-ip-ranges": "*"}, include=include) == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("outgate.dev/include-ip-ranges", "10.0.0.1/33", "is not an IP range"),
        ("outgate.dev/exclude-ports", "70000", "'70000' is not a port"),
        ("outgate.dev/exclude-ports", "0", "'0' is not a port"),
        ("outgate.dev/exclude-ports", "000001234567", "is not a port"),
        ("outgate.dev/exclude-ports", "٣", "is not a port"),
        ("outgate.dev/dns-capture", "no", "'no' is neither"),
        ("outgate.dev/dns-capture", False, "must be text"),
        ("traffic.sidecar.istio.io/includeOutboundPorts", 443, "must be text"),
    ],
)
def test_what_is_wrong_names_the_annotation(key: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=rf"^{key}: .*{message}"):
        annotations.apply({key: value}, Options())
    template = {"metadata": {"annotations": {key: value}}, "spec": SPEC}
    assert (pod.problem(template) or ("",))[0] == "metadata.annotations"
