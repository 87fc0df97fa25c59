from typing import Any

from outgate.cli import files
from outgate.model.converting import convert
from outgate.resources.manifests import read
from outgate.resources.writing import to_yaml


def test_expected(case: Any) -> None:
    resources, problems = files.resources(read(case.text, "input.yaml"), "default")
    converted = convert(resources)
    case.check("problems.txt", "".join(f"{each}\n" for each in problems))
    case.check("native.yaml", "---\n".join(map(to_yaml, converted.documents)))
    case.check("lost.txt", "".join(f"{each}\n" for each in converted.problems))


def test_each_document_of_an_invalid_case_is_refused(case: Any) -> None:
    resources, _ = files.resources(read(case.text, "input.yaml"), "default")
    found = list(resources.every())
    assert bool(found) != case.folder.name.startswith("invalid-")
