"""Migration under load: from one real model to another on the documentation of Django, killed at random, and back.

The source walks from release to release, document by document, while the index is migrated; a scheduled repair keeps
the collection in service up to date; an application queries the alias without a pause; the migration's own process is
killed with SIGKILL ten times. All of it through the command line, on a real Qdrant server, each part a process of its
own. Exits 1 where a query failed, a document was lost or came back, or the index differs from one built from nothing.
"""

import argparse
import json
import re
import sys
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.django_docs import VERSIONS, docs_folder
from benchmarks.drift_encoders import PARAPHRASE, batches, file_of, onnx, pooled, tokenizer
from benchmarks.measure import machine, note, stopwatch, table
from ragwatch.encoders import SentenceTransformerSettings, open_encoder
from ragwatch.index.points import Vectors
from tests.servers.embeddings import EmbeddingServer
from tests.servers.qdrant import running_qdrant
from tests.verbs.live_migration import Remembering, Scene, begin, changes_between, migrate_and_back

KILLS = 10
LATEST = {"start": 60.0, "gate": 20.0, "cutover": 8.0, "rollback": 10.0}
"""Seconds after which each step has been killed at the latest."""
QUERIES = 150
WINDOW = 128
"""Tokens that paraphrase-MiniLM-L3-v2 reads."""
DIMENSION = 384
HIDDEN = "onnx::Shape_422"
"""Output of the export that holds the hidden states."""
HEADING = re.compile(
    r"^(?P<title>[A-Z][^\n]{10,70})\n(?:=+|-+|~+)\n\n(?P<text>[A-Z][^\n`:*]{30,}\n[^\n`:*]{10,}\n)", re.MULTILINE
)


class Paraphrase:
    """paraphrase-MiniLM-L3-v2, another model of as many dimensions: three layers, trained for another task."""

    def __init__(self) -> None:
        self._hidden = onnx(file_of(PARAPHRASE), HIDDEN)

    def encode(self, texts: Sequence[str], *, kind: str = "passage") -> Vectors:
        del kind
        return pooled(texts, self._hidden, batches(len(texts)), tokens=tokenizer(WINDOW))


def release(version: str, share: float) -> dict[str, str]:
    """Return the documents of a release by path; `share` of all paths, the same ones in every release."""
    root = docs_folder(version)
    found = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*.txt"))}
    return {
        name: path.read_text(encoding="utf-8")
        for name, path in found.items()
        if zlib.crc32(name.encode()) % 1000 < share * 1000
    }


def golden(documents: Mapping[str, str], stable: Sequence[str]) -> list[dict[str, str]]:
    """Return known-item queries: a heading asks for the first two lines of the text below it."""
    found: list[dict[str, str]] = []
    for path in stable:
        for match in HEADING.finditer(documents[path]):
            name = f"{path}#{len(found)}"
            found.append({"id": name, "query": match["title"], "document": path, "quote": match["text"].strip()})
    return found[:QUERIES]


def run(folder: Path, share: float, seed: int, pause: float) -> dict[str, Any]:
    """Lay the first release, walk to the last during the migration, and return the figures."""
    versions = [release(version, share) for version in VERSIONS]
    changes = changes_between(versions, seed)
    edited = {path for path, _ in changes}
    stable = [path for path in versions[0] if path not in edited]
    asked = golden(versions[0], stable)
    (folder / "golden.jsonl").write_text("".join(json.dumps(one) + "\n" for one in asked), encoding="utf-8")
    note(f"{len(versions[0])} documents, {len(changes)} edits to come, {len(stable)} untouched, {len(asked)} queries")
    old, new = Remembering(Paraphrase()), Remembering(open_encoder(SentenceTransformerSettings()))
    with (
        EmbeddingServer(old).running() as old_server,
        EmbeddingServer(new).running() as new_server,
        running_qdrant() as qdrant,
    ):
        new_server.model = "all-MiniLM-L6-v2"
        old_server.model = "paraphrase-MiniLM-L3-v2"
        endpoints = {
            "old": (old_server.base_url, old_server.model, DIMENSION),
            "new": (new_server.base_url, new_server.model, DIMENSION),
        }
        scene = Scene(folder, qdrant.url, endpoints, [one["query"] for one in asked], stable, pause)
        with stopwatch() as building:
            begin(scene, versions[0], changes)
        note(f"old index built in {building.wall_s:.0f} s; migrating under load")
        found = migrate_and_back(scene, kills=KILLS, seed=seed, longest=LATEST, run_on=15.0)
        history = json.loads(scene.ragwatch("history", "--json", "--limit", "500").stdout)["runs"]
    found["texts_encoded"] = {"old": len(old.known), "new": len(new.known)}
    gates = [run["summary"] for run in history if run["summary"].get("step") == "gate" and run["outcome"] == "done"]
    found["gate"] = gates[0]["gate_report"]
    found["documents"] = len(versions[0])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.2, help="of the documents")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=2.5, help="seconds between two edits")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ragwatch-migration-") as folder:
        found = run(Path(folder), arguments.share, arguments.seed, arguments.pause)
    application = found["application"]
    rows = [
        ("documents, edits during the run", f"{found['documents']}, {found['edits']}"),
        ("points after the migration, after the rollback", f"{found['points_new']:,}, {found['points_old']:,}"),
        ("migrated, rolled back (s)", f"{found['migrated_s']}, {found['rolled_back_s']}"),
        ("kills", len(found["kills"])),
        ("requests of the application, failed", f"{application['asked']:,}, {application['failures']}"),
        ("asked again with the other encoder", application["asked_again"]),
        ("longest request (s)", application["longest_s"]),
        ("documents lost, revisions resurrected", f"{len(application['lost'])}, {len(application['resurrected'])}"),
        ("revisions that went out of service", application["retired"]),
    ]
    print(machine("qdrant-client", "sentence-transformers", "torch"))
    print(table(("what", "figure"), rows))
    print(json.dumps(found, indent=1))
    return int(bool(application["failures"] or application["lost"] or application["resurrected"]))


if __name__ == "__main__":
    sys.exit(main())
