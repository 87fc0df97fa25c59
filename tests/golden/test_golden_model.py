from typing import Any

from outgate.host import translating


def test_expected(case: Any) -> None:
    documents, problems = case.documents()
    case.check("model.yaml", translating.write(translating.model(documents, case.options), "yaml"))
    case.check("problems.txt", problems)


def test_order_of_documents_does_not_matter(case: Any) -> None:
    expected = translating.model(case.documents()[0], case.options)
    for seed in range(3):
        assert translating.model(case.documents(seed=seed)[0], case.options) == expected
