from typing import Any

from outgate.resources.kinds import parse
from outgate.resources.manifests import read


def test_expected(case: Any) -> None:
    case.check("problems.txt", case.documents()[1])


def test_each_document_of_an_invalid_case_is_refused_and_says_what_to_write(case: Any) -> None:
    documents = read(case.text, "input.yaml").documents
    found = parse(documents)
    valid = case.folder.name == "valid"
    assert len(found.accepted) == (len(documents) if valid else 0)
    assert valid == (not found.problems)
