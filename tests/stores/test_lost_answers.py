"""Writes whose answer is lost: what was done is read back, and what another wrote meanwhile is seen."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException

from ragwatch.index.points import StoredPoint
from ragwatch.index.spec import Distance
from ragwatch.stores.qdrant import QdrantStore
from ragwatch.stores.server_settings import ServerSettings
from tests.servers.qdrant import QdrantServer
from tests.stores.contract import DIMENSION, MANIFEST, ids, numbered, point, vector


@dataclass
class Two:
    """Two stores of one collection, which holds points 0 to 19; of one the first write's answer is lost."""

    losing: QdrantStore
    other: QdrantStore
    writes: int = 0
    """Writes that the one has sent."""
    meanwhile: Callable[[], object] = lambda: None
    """What happens while the answer is waited for."""


@pytest.fixture
def two(qdrant_server: QdrantServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Two]:
    name, settings = f"t{uuid.uuid4().hex}", ServerSettings(qdrant_server.url)
    made = Two(QdrantStore(name, settings, sleep=lambda _: None), QdrantStore(name, settings))
    made.other.create(DIMENSION, Distance.COSINE, MANIFEST)
    made.other.upsert([point(i) for i in range(20)])
    write = made.losing._session._write

    def lose_one(client: QdrantClient, request: Callable[[QdrantClient], object]) -> object:
        answer = write(client, request)
        made.writes += answer is not None
        if made.writes == 1 and answer is not None:
            made.meanwhile()
            raise ResponseHandlingException(httpx.ReadError("the answer is lost"))
        return answer

    monkeypatch.setattr(made.losing._session, "_write", lose_one)
    yield made
    made.losing.close()
    made.other.drop()
    made.other.close()


def test_what_is_written_again_while_the_answer_of_a_delete_is_waited_for_is_kept(two: Two) -> None:
    two.meanwhile = lambda: two.other.upsert([point(1, revision="r2")])
    assert two.losing.delete([numbered(1), numbered(2)], revision="r1") == (numbered(1),)
    assert two.writes == 1
    assert ids(list(two.other.scroll())) == [numbered(i) for i in range(20) if i != 2]


def test_what_was_written_before_the_answer_was_lost_is_not_written_twice(two: Two) -> None:
    two.losing.upsert([point(i, revision="r2") for i in range(30)])
    assert two.writes == 1
    two.writes = 0
    two.losing.set_payload([(numbered(i), {"title": "new", "score": 1.5}) for i in range(30)])
    assert two.writes == 1
    assert {one.payload["title"] for one in two.other.scroll()} == {"new"}


def test_what_was_changed_or_deleted_before_the_answer_was_lost_is_written_again(two: Two) -> None:
    def meanwhile() -> None:
        two.other.delete([numbered(1)], revision="r2")
        two.other.set_payload([(numbered(2), {"title": "another's"})])
        two.other.upsert([StoredPoint(numbered(3), point(3, revision="r2").payload, vector(-1.0))])

    two.meanwhile = meanwhile
    two.losing.upsert([point(i, revision="r2") for i in range(20)])
    assert two.writes == 2
    found = {one.id: one for one in two.other.scroll(vectors=True)}
    assert len(found) == 20
    assert found[numbered(2)].payload["title"] is None
    again = found[numbered(3)].vector
    assert again is not None
    assert again[0] > 0
