"""From one real encoder to another and back, while others edit, repair and query; killed at random."""

from pathlib import Path

from ragwatch.encoders import SentenceTransformerSettings, open_encoder
from ragwatch.probes.golden import read_golden
from tests.servers.embeddings import EmbeddingServer
from tests.servers.qdrant import running_qdrant
from tests.verbs.live_migration import Remembering, Scene, begin, changes_between, migrate_and_back

LATEST = {"start": 6.0, "gate": 4.0, "cutover": 3.0, "rollback": 3.0}
"""Seconds after which each step has been killed at the latest."""
HANDBOOK = Path(__file__).parents[2] / "fixtures" / "handbook"


def version(name: str) -> dict[str, str]:
    root = HANDBOOK / name
    found = sorted(path for part in ("api", "policies") for path in (root / part).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in found}


def test_nothing_fails_is_lost_or_comes_back(tmp_path: Path) -> None:
    before, after = version("v1"), version("v2")
    stable = sorted(path for path in before if before[path] == after.get(path))
    changes = changes_between([before, after])
    encoders = {
        "old": SentenceTransformerSettings(),
        "new": SentenceTransformerSettings(truncate_dim=128),
    }
    servers = {side: EmbeddingServer(Remembering(open_encoder(settings))) for side, settings in encoders.items()}
    with servers["old"].running() as old, servers["new"].running() as new, running_qdrant() as qdrant:
        scene = Scene(
            tmp_path,
            qdrant.url,
            {"old": (old.base_url, "served-model", 384), "new": (new.base_url, "served-model", 128)},
            queries=[query.query for query in read_golden(HANDBOOK / "golden.jsonl")],
            stable=stable,
            pause=0.7,
        )
        begin(scene, before, changes)
        found = migrate_and_back(scene, kills=6, seed=1, longest=LATEST, run_on=1.0)
    asked = found["application"]
    assert len(found["kills"]) == 6
    assert asked["asked"] > 500
    assert (asked["failures"], asked["failed"]) == (0, [])
    assert (asked["lost"], asked["resurrected"]) == ([], [])
    assert asked["retired"] > 0
    assert found["edits"] > 10
    assert min(found["points_new"], found["points_old"]) > 100
