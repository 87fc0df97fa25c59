from typing import Any

import pytest

from outgate.cli.jsonpath import render
from outgate.errors import UsageError

POD = {
    "metadata": {"name": "sleep", "labels": {"app": "sleep"}},
    "spec": {"containers": [{"name": "a", "ports": [1, 2]}, {"name": "b"}]},
}
LIST = {"kind": "List", "items": [POD, {"metadata": {"name": "other"}}]}


@pytest.mark.parametrize(
    ("template", "value", "expected"),
    [
        # As the task writes it: `kubectl get pod -l app=sleep -o jsonpath={.items..metadata.name}`.
        ("{.items..metadata.name}", LIST, "sleep other"),
        (".items..metadata.name", LIST, "sleep other"),
        ("{.items[0].metadata.name}", LIST, "sleep"),
        ("{.items[*].metadata.name}", LIST, "sleep other"),
        ("{.metadata.name}", POD, "sleep"),
        ("{$.metadata.name}", POD, "sleep"),
        ("{.spec.containers[0].ports}", POD, "[1, 2]"),
        ("{.metadata.labels}", POD, '{"app": "sleep"}'),
        ("name={.metadata.name}, app={.metadata.labels.app}", POD, "name=sleep, app=sleep"),
        ('{.metadata.name}{"\\n"}', POD, "sleep\n"),
        ("{.none}", POD, ""),
        ("{.items..metadata.name}", {"items": []}, ""),
    ],
)
def test_as_kubectl_does(template: str, value: Any, expected: str) -> None:
    assert render(template, value) == expected


@pytest.mark.parametrize("template", ["{.a", "a}{.b", "{.a[}", "{.a}{", "{range .items[*]}"])
def test_what_is_none_is_told(template: str) -> None:
    with pytest.raises(UsageError, match="-o jsonpath"):
        render(template, POD)
