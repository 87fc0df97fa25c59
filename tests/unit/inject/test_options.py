"""Flags that cannot work are refused, with the flag's name and what would do."""

import pytest

from outgate.errors import UsageError
from outgate.inject.options import Options, log_level


@pytest.mark.parametrize(
    "hub", ["registry.example.com:5000/mesh", "ghcr.io/me", "me", "192.0.2.1:5000"]
)
def test_hub(hub: str) -> None:
    options = Options(hub=hub, tag="v1")
    assert options.image == f"{hub}/outgate:v1"
    assert options.proxy_image == f"{hub}/envoy:v1.40.0"


def test_stock_images_without_a_hub() -> None:
    assert Options(tag="v1").image == "docker.io/outgate/outgate:v1"
    assert Options().proxy_image == "docker.io/envoyproxy/envoy:v1.40.0"


@pytest.mark.parametrize(
    ("flag", "fields"),
    [
        ("--hub", {"hub": "a b"}),
        ("--hub", {"hub": "/a"}),
        ("--tag", {"tag": ""}),
        ("--tag", {"tag": "a/b"}),
        ("--sidecarProxyUID", {"proxy_uid": 0}),
        ("--sidecarProxyUID", {"proxy_uid": -1}),
        ("--sidecarProxyUID", {"proxy_uid": 1 << 31}),
        ("--xds-address", {"xds_address": "host"}),
        ("--xds-address", {"xds_address": "host:0"}),
    ],
)
def test_value_that_cannot_work(flag: str, fields: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=rf"^{flag}: .*\(.*such as "):
        Options(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verbosity", "level"),
    [(-1, "error"), (0, "error"), (2, "info"), (3, "debug"), (4, "trace"), (99, "trace")],
)
def test_log_level(verbosity: int, level: str) -> None:
    assert log_level(verbosity) == level
