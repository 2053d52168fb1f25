"""What the tests of whole servers on a cluster share."""

from collections.abc import Iterator

import pytest

from tests.kubernetes.surroundings import Surroundings, surroundings


@pytest.fixture(scope="session")
def around() -> Iterator[Surroundings]:
    """The image and an object store, for all tests of the session."""
    with surroundings() as found:
        yield found
