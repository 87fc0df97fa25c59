"""What Istio's Sidecars mean: nothing that is not done anyway."""

from typing import Any

import pytest
from tests.unit.model.istio.meaning import assembled, errors, made, parsed

from outgate.model.declarations import Source


def test_a_sidecar_that_says_what_is_done_anyway_declares_nothing() -> None:
    spec = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}, "egress": [{"hosts": ["*/*"]}]}
    assembly = assembled(made("Sidecar", spec))
    assert parsed(made("Sidecar", spec)).problems == ()
    assert Source("Sidecar", "default", "it") in assembly.declared
    assert assembly.effective == {}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}, "spec.outboundTrafficPolicy.mode"),
        ({"egress": [{"hosts": ["./*"]}]}, "spec.egress[0].hosts"),
    ],
)
def test_what_would_open_or_break_something_is_refused(spec: Any, path: str) -> None:
    assert [each for each, _ in errors(made("Sidecar", spec))] == [path]
