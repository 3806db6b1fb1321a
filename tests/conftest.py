"""Fixtures that several folders of tests share. Servers start when a test first asks for them.

Hypothesis draws the same examples in every run and measures no time, so that a run on a busy machine says the same
as one on an idle machine. `pytest --hypothesis-profile=explore` draws new ones.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.qdrant import OLD, QdrantServer, given_server, running_qdrant

pytest_plugins = ("tests.leaks",)
PARTS = ("collections", "hybrid", "reads", "writes")
pytest.register_assert_rewrite(*(f"tests.stores.contract_{part}" for part in PARTS))

settings.register_profile(
    "steady",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", settings.get_profile("steady"), derandomize=False)
settings.load_profile("steady")

QDRANT_KEY = "planted-qdrant-key-7f3a"
QDRANT_READ_ONLY_KEY = "planted-qdrant-read-only-key-19c2"


@pytest.fixture(scope="session")
def qdrant_server() -> Iterator[QdrantServer]:
    """A Qdrant server of the newer version (1.17.0, or the one that the environment names), without keys."""
    given = given_server()
    if given:
        yield given
        return
    with running_qdrant() as server:
        yield server


@pytest.fixture(scope="session")
def qdrant_old_server() -> Iterator[QdrantServer]:
    """A Qdrant 1.16.3 server, the oldest minor version that ragwatch works with."""
    with running_qdrant(OLD) as server:
        yield server


@pytest.fixture(scope="session")
def qdrant_key_server() -> Iterator[QdrantServer]:
    """A Qdrant server that asks for an API key and has a read-only key too."""
    with running_qdrant(api_key=QDRANT_KEY, read_only_key=QDRANT_READ_ONLY_KEY) as server:
        yield server
