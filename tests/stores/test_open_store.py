"""The factory of stores."""

import subprocess
import sys
from pathlib import Path

import pytest

from ragwatch.errors import ConfigError
from ragwatch.stores import open_store


def test_opening_connects_nothing_and_creates_nothing(tmp_path: Path) -> None:
    open_store("docs", url="http://127.0.0.1:1").close()
    open_store("docs", path=tmp_path / "index").close()
    assert not list(tmp_path.iterdir())


def test_a_place_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"store\.url"):
        open_store("docs")


@pytest.mark.parametrize("name", ["", ".", "..", "a\nb"])
def test_impossible_names_are_refused_on_a_server(name: str) -> None:
    with pytest.raises(ConfigError):
        open_store(name, url="http://127.0.0.1:1")


def test_a_missing_embedded_engine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("ragwatch.stores.embedded", "ragwatch.stores.embedded_shard"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "qdrant_edge", None)
    with pytest.raises(ConfigError, match="qdrant-edge-py"):
        open_store("docs", path=tmp_path)


def test_client_libraries_are_imported_only_when_needed() -> None:
    code = (
        "import sys, ragwatch.stores, ragwatch.ports\n"
        "ragwatch.stores.open_store('docs', path='nowhere')\n"
        "print([m for m in ('qdrant_client', 'grpc', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
