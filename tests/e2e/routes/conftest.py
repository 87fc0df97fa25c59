from collections.abc import Iterator

import pytest
from tests.e2e.routes import cases
from tests.e2e.routes.loopback import Envoy, running


@pytest.fixture(scope="package")
def envoy() -> Iterator[Envoy]:
    """It starts once for all tests here."""
    with running("main", "one", "two", "three") as made:
        cases.start(made)
        yield made
