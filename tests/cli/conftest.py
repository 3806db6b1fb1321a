"""A folder as a user has it: documents, a configuration, an embedded index; the encoder answers on loopback."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ragwatch.cli.commands import run
from ragwatch.probes.ragas_adapter import Ragas
from ragwatch.probes.ragas_process import Worker
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import EmbeddingServer

CONFIG = """\
collection = "docs"

[store]
path = "index"

[encoder]
kind = "openai"
base_url = "{url}"
model = "served-model"
dimensions = 64

[[sources]]
name = "docs"
path = "docs"

[state]
url = "sqlite:///state.db"
"""

DOCUMENTS = {
    "refunds.md": "# Refunds\n\nRefunds are paid within thirty days.\n",
    "access.md": "# Access\n\nAccess is asked for through the portal.\n",
    "guide/limits.md": "# Limits\n\nSixty calls a minute.\n",
}


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> dict[str, Any]:
        assert self.out, self.err
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed


@dataclass
class Workspace:
    """A user's folder; `ragwatch` runs a command in it."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    server: EmbeddingServer
    encoder: HashEncoder

    @property
    def config(self) -> Path:
        return self.folder / "ragwatch.toml"

    def ragwatch(self, *arguments: str) -> Outcome:
        self.monkeypatch.setattr("sys.argv", ["ragwatch", *arguments])
        self.capsys.readouterr()
        code = run()
        printed = self.capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    def write(self, name: str, text: str) -> None:
        path = self.folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def configure(self, old: str, new: str) -> None:
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Workspace]:
    """Three documents, configured and not indexed yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAGWATCH_CONFIG", raising=False)
    encoder = HashEncoder()
    with EmbeddingServer(encoder).running() as server:
        made = Workspace(tmp_path, monkeypatch, capsys, server, encoder)
        for name, text in DOCUMENTS.items():
            made.write(name, text)
        made.config.write_text(CONFIG.format(url=server.base_url), encoding="utf-8")
        yield made


@pytest.fixture
def indexed(workspace: Workspace) -> Workspace:
    """The same, indexed."""
    assert workspace.ragwatch("reindex", "--yes").code == 0
    return workspace


class KeptWorker(Worker):
    """A worker of RAGAS that outlives the command that used it: loading RAGAS takes seconds."""

    def end(self, *, at_once: bool = False) -> None:
        if at_once or not self.alive:
            super().end(at_once=at_once)


@pytest.fixture(scope="session")
def ragas_workers() -> Iterator[list[KeptWorker]]:
    workers: list[KeptWorker] = []
    yield workers
    for worker in workers:
        worker.end(at_once=True)


@pytest.fixture(autouse=True)
def kept_ragas(ragas_workers: list[KeptWorker], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands that use our own interpreter share one worker."""

    def start(self: Ragas) -> Worker:
        if self.settings.python:
            return Worker(self.settings.python, self.settings.start_timeout_s)
        if not ragas_workers or not ragas_workers[-1].alive:
            ragas_workers.append(KeptWorker("", self.settings.start_timeout_s))
        return ragas_workers[-1]

    monkeypatch.setattr(Ragas, "_start", start)
