"""The world of `faults.py`: a corpus, a real Qdrant server, an endpoint that can misbehave, and an oracle.

The oracle never asks the program that is on trial: it reads the collection with Qdrant's own client and compares it
with a collection that was built from nothing out of the same documents.
"""

import io
import os
import re
import shutil
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from qdrant_client import QdrantClient, models

from ragwatch.cli.commands import run
from ragwatch.errors import ExitCode
from ragwatch.index.points import without_volatile
from ragwatch.index.spec import Layout
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import EmbeddingServer

DIMENSION = 64
CONFIG = """\
collection = "{collection}"

[store]
url = "{store}"
timeout_s = 5

[encoder]
kind = "openai"
base_url = "{endpoint}"
model = "served-model"
dimensions = {dimension}
{encoder}

[[sources]]
name = "docs"
path = "docs"
{source}

[state]
url = "sqlite:///state.db"
"""
FOUND = re.compile(r"\d+ findings?: ")
SUBJECTS = ("refunds", "access", "limits", "parcels", "returns", "invoices", "holidays", "safety", "keys", "vans")


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """What a person reads first: the error, or the verdict and what was found."""
        errors = [line for line in self.err.splitlines() if line.startswith("error:")]
        lines = [line for line in self.out.splitlines() if line.strip()]
        verdicts = [line for line in lines if line[0].isupper() and line.split()[0].strip(":,").isupper()]
        found = [line.partition(": ")[2] for line in lines if FOUND.match(line)]
        said = [*(errors or verdicts or lines or self.err.splitlines() or [""])[:1], *found[:1]]
        return "; ".join(" ".join(line.split()) for line in said)


@dataclass
class World:
    """One collection of a person's, indexed and in order, in a folder of its own."""

    folder: Path
    store_url: str
    endpoint: EmbeddingServer
    collection: str
    encoder_extra: str = "attempts = 3\ntimeout_s = 3"
    """An impatient configuration: the defaults outlast a cold start of a minute."""
    source_extra: str = ""
    env: dict[str, str] = field(default_factory=dict)
    through: str = ""
    """The URL by which ragwatch is told to reach the server, where it is not the server's own."""

    @property
    def docs(self) -> Path:
        return self.folder / "docs"

    @property
    def client(self) -> QdrantClient:
        return QdrantClient(url=self.store_url, check_compatibility=False, timeout=30)

    def configure(self) -> None:
        text = CONFIG.format(
            collection=self.collection,
            store=self.through or self.store_url,
            endpoint=self.endpoint.base_url,
            dimension=DIMENSION,
            encoder=self.encoder_extra,
            source=self.source_extra,
        )
        (self.folder / "ragwatch.toml").write_text(text, encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        path = self.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def ragwatch(self, *arguments: str) -> Ran:
        """Run a command in this process, as in the folder."""
        out, err = io.StringIO(), io.StringIO()
        config = str(self.folder / "ragwatch.toml")
        with (
            patch.object(sys, "argv", ["ragwatch", *arguments, "--config", config]),
            patch.dict(os.environ, {"COLUMNS": "200", "NO_COLOR": "1", **self.env}),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = run()
        return Ran(arguments, code, out.getvalue(), err.getvalue())

    def ragwatch_killed(self, step: str) -> Ran:
        """Repair in a process of its own that is killed at the named step boundary."""
        command = [sys.executable, "-m", "benchmarks.fault_killed", str(self.folder / "ragwatch.toml"), step]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return Ran(("reindex", "--yes"), done.returncode, done.stdout, done.stderr)

    # -- the oracle ----------------------------------------------------------------------------------------------

    def points(self, collection: str = "") -> dict[str, models.Record]:
        """Every point of the collection by id, with payload and vector; {} where there is none."""
        client, name = self.client, collection or self.collection
        try:
            if not client.collection_exists(name) and name not in {a.alias_name for a in client.get_aliases().aliases}:
                return {}
            found: dict[str, models.Record] = {}
            offset: Any = None
            while True:
                records, offset = client.scroll(name, limit=1000, offset=offset, with_vectors=True, with_payload=True)
                found |= {str(record.id): record for record in records}
                if offset is None:
                    return found
        finally:
            client.close()

    def served(self) -> set[str]:
        """The documents of which something can be found."""
        return {str((record.payload or {}).get("document")) for record in self.points().values()}

    def truth(self) -> dict[str, models.Record]:
        """What an index that is built from nothing out of the documents as they are now holds."""
        with _twin(self) as twin:
            built = twin.ragwatch("reindex", "--yes")
            if built.code not in (ExitCode.DONE, ExitCode.INCOMPLETE):
                raise AssertionError(f"the oracle could not build its index: {built}")
            return twin.points()

    def faults(self) -> list[str]:
        """How the index differs from the truth; [] where it does not. Foreign points are nobody's fault."""
        return differences(self.points(), self.truth())


def differences(found: Mapping[str, models.Record], truth: Mapping[str, models.Record]) -> list[str]:
    """Say how the points of a collection differ from those of a fresh build."""
    problems = [f"missing {one}" for one in truth.keys() - found.keys()]
    problems += [f"surplus {one}" for one in found.keys() - truth.keys() if _is_ours(found[one].payload or {})]
    for one in truth.keys() & found.keys():
        mine, right = found[one].payload or {}, truth[one].payload or {}
        if without_volatile(mine, right, Layout.PLAIN) != without_volatile(right, right, Layout.PLAIN):
            problems.append(f"payload of {one}")
        if not np.allclose(_vector(found[one]), _vector(truth[one]), atol=1e-5):
            problems.append(f"vector of {one}")
    return sorted(problems)


def _is_ours(payload: Mapping[str, Any]) -> bool:
    return "_ragwatch" in payload


def _vector(record: models.Record) -> Any:
    return np.asarray(record.vector, dtype=np.float32)


def _neither_files_nor_folders(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if stat.S_ISFIFO((Path(folder) / name).lstat().st_mode)}


@contextmanager
def _twin(world: World) -> Iterator[World]:
    """The same documents and settings, another collection, no history, and an endpoint that is well."""
    folder = world.folder / f"twin-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    shutil.copytree(world.docs, folder / "docs", symlinks=True, ignore=_neither_files_nor_folders)
    with EmbeddingServer(HashEncoder(DIMENSION)).running() as endpoint:
        twin = World(folder, world.store_url, endpoint, f"truth-{uuid.uuid4().hex[:12]}")
        twin.encoder_extra, twin.source_extra = world.encoder_extra, world.source_extra
        twin.configure()
        try:
            yield twin
        finally:
            client = twin.client
            client.delete_collection(twin.collection)
            client.close()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def world(parent: Path, store_url: str) -> Iterator[World]:
    """Ten documents of three sections, indexed and verified."""
    folder = parent / uuid.uuid4().hex[:12]
    folder.mkdir()
    with EmbeddingServer(HashEncoder(DIMENSION)).running() as endpoint:
        made = World(folder, store_url, endpoint, f"faults-{uuid.uuid4().hex[:12]}")
        for subject in SUBJECTS:
            made.write(f"{subject}.md", page(subject))
        made.configure()
        built = made.ragwatch("reindex", "--yes")
        assert built.code == 0, built
        try:
            yield made
        finally:
            client = made.client
            client.delete_collection(made.collection)
            client.close()
            shutil.rmtree(folder, ignore_errors=True)


def page(subject: str, *, version: int = 1) -> str:
    """A document of three sections; another version changes the second."""
    return (
        f"# {subject.title()}\n\nWhat everybody should know of {subject} in the first place.\n\n"
        f"## Rules\n\nRule {version} of {subject} holds from day {version * 7} on, for each of the {subject}.\n\n"
        f"## Questions\n\nQuestions on {subject} are answered by the {subject} desk between nine and five.\n"
    )
