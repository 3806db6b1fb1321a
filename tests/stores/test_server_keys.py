"""API keys of a Qdrant server: what each permits, and that none is ever shown."""

import logging
import traceback
from collections.abc import Callable

import pytest

from ragwatch.errors import RagwatchError, UnreachableError
from ragwatch.index.points import Key
from ragwatch.index.spec import Distance
from ragwatch.ports import Where
from ragwatch.stores.qdrant import QdrantStore
from ragwatch.stores.server_settings import ServerSettings
from tests.conftest import QDRANT_KEY, QDRANT_READ_ONLY_KEY
from tests.servers.qdrant import QdrantServer
from tests.stores.contract import DIMENSION, MANIFEST, ids, numbered, point, vector


def no_sleep(seconds: float) -> None:
    pytest.fail(f"waited {seconds} s")


def whole_text(error: RagwatchError) -> str:
    """Return everything of an error that can reach a screen or a log."""
    chain = "".join(traceback.format_exception(error))
    return f"{chain} {error!r} {error.fact} {error.hint} {error.__cause__!r} {error.__context__!r}"


def keyed(server: QdrantServer, key: str, *, grpc: bool = False) -> QdrantStore:
    settings = ServerSettings(
        server.url, api_key=key, api_key_name="QDRANT_KEY", prefer_grpc=grpc, grpc_port=server.grpc_port
    )
    return QdrantStore("docs", settings, sleep=no_sleep)


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_a_refused_key_is_told_by_the_name_of_its_setting(
    qdrant_key_server: QdrantServer, caplog: pytest.LogCaptureFixture, grpc: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    for key, fact in (("", "asks for an API key"), ("planted-wrong-key", "refused the API key of QDRANT_KEY")):
        store = keyed(qdrant_key_server, key, grpc=grpc)
        with pytest.raises(UnreachableError) as raised:
            store.describe()
        store.close()
        assert fact in raised.value.fact
        assert "QDRANT_KEY" in raised.value.hint
        assert "planted" not in whole_text(raised.value) + repr(store)
    assert "planted" not in caplog.text


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_the_read_only_key_suffices_for_reading_and_not_for_writing(
    qdrant_key_server: QdrantServer, caplog: pytest.LogCaptureFixture, grpc: bool
) -> None:
    writer, reader = (keyed(qdrant_key_server, key, grpc=grpc) for key in (QDRANT_KEY, QDRANT_READ_ONLY_KEY))
    writer.create(DIMENSION, Distance.COSINE, MANIFEST)
    writer.upsert([point(1)])
    caplog.set_level(logging.DEBUG)
    info = reader.describe()
    assert info is not None
    assert info.points == 1
    assert reader.facet(Key.REVISION) == {"r1": 1}
    assert ids(list(reader.scroll(Where(Key.DOCUMENT, ("docs:a",)), vectors=True))) == [numbered(1)]
    assert reader.search(vector(1.0), 1)
    writes: list[Callable[[], object]] = [
        lambda: reader.upsert([point(2)]),
        lambda: reader.delete([numbered(1)], revision="r1"),
        lambda: reader.switch_alias("alias", "docs"),
        reader.drop,
    ]
    for write in writes:
        with pytest.raises(UnreachableError) as raised:
            write()
        assert "does not permit the API key of QDRANT_KEY" in raised.value.fact
        assert "may write" in raised.value.hint
        assert "planted" not in whole_text(raised.value)
    assert "planted" not in caplog.text
    writer.drop()
    writer.close()
    reader.close()
