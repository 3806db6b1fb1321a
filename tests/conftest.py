"""Fixtures that several folders of tests share. Servers start when a test first asks for them.

Hypothesis draws the same examples in every run and measures no time, so that a run on a busy machine says the same
as one on an idle machine. `pytest --hypothesis-profile=explore` draws new ones.
"""

import os
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tests.servers.qdrant import OLD, QdrantServer, given_server, running_qdrant
from tests.servers.writes import RESTARTED, kinds_of

# Before numpy and torch are loaded, here and in child processes. Tests run as many at a time as there are cores; more
# threads would only wait for each other, and busily: a query takes seven times as long to encode.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

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
def writes_known() -> Iterator[None]:
    """Fails, at the end, where the program wrote in a way after which no restart of a server was tried."""
    from ragwatch.stores.server_session import ServerSession

    found: dict[str, str] = {}
    before = ServerSession._before_sending

    def recording(self: ServerSession, request: httpx.Request) -> None:
        before(self, request)
        if self._writing:
            for kind in kinds_of(request.method, request.url.path, request.content):
                found.setdefault(kind, os.environ.get("PYTEST_CURRENT_TEST", ""))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ServerSession, "_before_sending", recording)
        yield
    new = {kind: test for kind, test in found.items() if kind not in RESTARTED}
    assert not new, f"kinds of writes that tests/verbs/test_restarts.py does not try: {new}"


@pytest.fixture(scope="session")
def qdrant_server(writes_known: None) -> Iterator[QdrantServer]:
    """A Qdrant server of the newer version (1.17.0, or the one that the environment names), without keys."""
    given = given_server()
    if given:
        yield given
        return
    with running_qdrant() as server:
        yield server


@pytest.fixture(scope="session")
def qdrant_old_server(writes_known: None) -> Iterator[QdrantServer]:
    """A Qdrant 1.16.3 server, the oldest minor version that ragwatch works with."""
    with running_qdrant(OLD) as server:
        yield server


@pytest.fixture(scope="session")
def qdrant_key_server(writes_known: None) -> Iterator[QdrantServer]:
    """A Qdrant server that asks for an API key and has a read-only key too."""
    with running_qdrant(api_key=QDRANT_KEY, read_only_key=QDRANT_READ_ONLY_KEY) as server:
        yield server
