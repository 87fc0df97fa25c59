"""No field that Istio publishes is ignored in silence: it is read, or something is said of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outgate.resources.checks import Checker
from outgate.resources.documents import Document, Lines
from outgate.resources.istio.fields import Said, check_fields, rows, state_of
from outgate.resources.istio.tables import TABLES
from outgate.resources.kinds import parse
from outgate.resources.problems import Location, Problem, Severity

LISTED = Path(__file__).with_name("published.txt").read_text().splitlines()[1:]
PUBLISHED = [tuple(line.split(" ")) for line in LISTED]
WRONG = {"wrong": {"wrong": 1}}


def fields(*, read: bool) -> Iterator[Any]:
    for kind, path, form in PUBLISHED:
        state = state_of(TABLES[kind], path.replace("[]", "").replace("{}", ".any"))
        if isinstance(state, Said) is not read:
            yield pytest.param(kind, path, *(() if read else (form,)), id=f"{kind}.{path}")


def nested(path: str, value: Any) -> Any:
    """The path as a document has it, with one item in each list and one key in each mapping."""
    head, _, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    if head.endswith("{}"):
        inner = {"any": inner}
    if head.endswith("[]"):
        inner = [inner]
    return {head.removesuffix("[]").removesuffix("{}"): inner}


def written(path: str) -> str:
    return "spec." + path.replace("[]", "[0]").replace("{}", ".any")


def problems(kind: str, spec: dict[str, Any]) -> tuple[Problem, ...]:
    value = {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": "it"},
        "spec": spec,
    }
    return parse((Document(value, Location(), Lines(1, {})),)).problems


def sample(form: str) -> Any:
    plain = {"string": "text", "boolean": True, "integer": 1, "number": 1.0}
    return plain.get(form, form.split(",", maxsplit=1)[0])


@pytest.mark.parametrize(("kind", "path"), [each[:2] for each in PUBLISHED])
def test_every_published_field_is_known(kind: str, path: str) -> None:
    assert state_of(TABLES[kind], path.replace("[]", "").replace("{}", ".any")) is not None


@pytest.mark.parametrize(("kind", "path", "form"), list(fields(read=False)))
def test_of_what_is_not_read_something_is_said(kind: str, path: str, form: str) -> None:
    found = problems(kind, nested(path, sample(form)))
    said = [each for each in found if written(path).startswith(each.path) and each.path != "spec"]
    assert any(each.message for each in said if "unknown" not in each.message), found


@pytest.mark.parametrize(("kind", "path"), list(fields(read=True)))
def test_what_is_not_said_is_read(kind: str, path: str) -> None:
    """A value of the wrong type is refused by whoever reads it, at its own path."""
    found = problems(kind, nested(path, WRONG))
    here = written(path)
    errors = [each for each in found if each.severity is Severity.ERROR]
    assert any(each.path.startswith(here) or each.path == here for each in errors), found


@pytest.mark.parametrize("kind", TABLES)
def test_tables_have_no_field_that_is_not_published(kind: str) -> None:
    published = {
        path.replace("[]", "").replace("{}", ".*") for own, path, _ in PUBLISHED if own == kind
    }
    for path, _ in rows(TABLES[kind]):
        assert any(each == path or each.startswith(f"{path}.") for each in published), path


def test_a_field_with_its_default_says_nothing() -> None:
    value = {"corsPolicy": None, "match": [{"sourceLabels": None, "statPrefix": ""}]}
    check = Checker(Document({}, Location(), Lines(1, {})))
    check_fields(check, {"http": [value]}, "spec", TABLES["VirtualService"])
    assert check.problems == ()


def test_a_slip_of_the_pen_is_told() -> None:
    found = problems(
        "DestinationRule", {"host": "a.example.com", "trafficPolicy": {"loadBalancr": {}}}
    )
    assert [(each.path, each.hint) for each in found] == [
        ("spec.trafficPolicy.loadBalancr", "did you mean loadBalancer?")
    ]
