import json
from collections.abc import Callable
from pathlib import Path

import pytest

from outgate.envoy.validate import validate
from outgate.errors import EnvoyError

pytestmark = pytest.mark.envoy


def test_a_good_bootstrap_passes(envoy: Path, write_bootstrap: Callable[..., Path]) -> None:
    assert validate(envoy, write_bootstrap().read_text()) == ()


def test_yaml_is_read_too(envoy: Path) -> None:
    validate(envoy, "static_resources:\n  clusters:\n  - {name: a, type: STATIC}\n")


@pytest.mark.parametrize(
    ("bootstrap", "message"),
    [
        ({"static_resources": {"clusters": [{"name": "a", "type": "FOO"}]}}, "unknown enum.*'FOO'"),
        ({"statik": {}}, "no such field: +'statik'"),
        ({"static_resources": {"clusters": [{"name": ""}]}}, "Name: value length must be"),
    ],
)
def test_a_bad_one_is_refused_in_envoys_words(
    envoy: Path, bootstrap: dict[str, object], message: str
) -> None:
    with pytest.raises(EnvoyError, match=f"(?s)Envoy refuses the configuration: .*{message}"):
        validate(envoy, json.dumps(bootstrap))


def test_a_missing_binary_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(EnvoyError, match="No such file"):
        validate(tmp_path / "envoy", "{}")
