"""The test servers fail loudly, with a remedy."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.qdrant import CURRENT, ServerMissingError, program_path


def test_a_program_with_another_digest_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGWATCH_TEST_CACHE", str(tmp_path))
    (tmp_path / f"qdrant-{CURRENT.version}").write_bytes(b"something else")
    with pytest.raises(ServerMissingError, match="delete it"):
        program_path(CURRENT)


def test_without_npm_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGWATCH_TEST_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerMissingError, match="RAGWATCH_TEST_QDRANT_URL"):
        program_path(replace(CURRENT, version="0.0.0"))
