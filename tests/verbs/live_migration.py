"""A migration under load: a process that edits, one that repairs, one that queries without a pause, and kills.

Each part is a process of its own, started as `python -m tests.verbs.live_migration PART FOLDER`, and stops when the
file `stop-PART` appears in the folder. `scene.json` says what they work on. Used by the test and by the benchmark.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ragwatch.corpus.identity import digest_text
from ragwatch.ports import Vectors
from tests.servers.children import start_child

ROOT = Path(__file__).parents[2]
ALIAS = "live"
FIRST = "first"
LEASE_SECONDS = 10.0
"""Short, so that the lease of a killed process does not hold up the next one for five minutes."""
K = 5

Change = tuple[str, str | None]
"""Path, and its new text; None deletes it."""


class Encodes(Protocol):
    """As much of an encoder as an endpoint needs."""

    def encode(self, texts: Sequence[str]) -> Vectors: ...


class Remembering:
    """An encoder that encodes each text once, whoever asks; what is measured here is not its speed."""

    def __init__(self, encoder: Encodes) -> None:
        self.encoder = encoder
        self.known: dict[str, Vectors] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    def encode(self, texts: Sequence[str], *, kind: Any = "passage") -> Vectors:
        """Queries and passages have one prompt, so `kind` changes nothing."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self.known]
        if fresh:
            self.known.update(zip(fresh, self.encoder.encode(fresh), strict=True))
        return np.stack([self.known[text] for text in texts])


@dataclass
class Scene:
    """A folder with documents, a configuration, and the files by which the processes speak to each other."""

    folder: Path
    url: str
    endpoints: Mapping[str, tuple[str, str, int]]
    """Side ("old", "new") → address of its encoder, its model, its dimension."""
    queries: Sequence[str] = ()
    stable: Sequence[str] = ()
    """Documents that are never edited."""
    pause: float = 0.5
    """Seconds between two edits."""

    @property
    def config(self) -> Path:
        return self.folder / "ragwatch.toml"

    @property
    def docs(self) -> Path:
        return self.folder / "docs"

    def encoder_table(self, side: str) -> str:
        address, model, dimension = self.endpoints[side]
        lines = (f'base_url = "{address}"', f'model = "{model}"', f"dimensions = {dimension}", "batch_size = 32")
        return "\n".join(["[encoder]", 'kind = "openai"', *lines, ""])

    def configure(self, collection: str, side: str) -> None:
        store = f'[store]\nurl = "{self.url}"\ntimeout_s = 5\n'
        sources = '[[sources]]\nname = "docs"\npath = "docs"\ninclude = ["**/*"]\n'
        state = '[state]\nurl = "sqlite:///state.db"\n'
        text = f'collection = "{collection}"\n\n{store}\n{self.encoder_table(side)}\n{sources}\n{state}'
        self.config.write_text(text, encoding="utf-8")

    def save(self) -> None:
        value = {name: getattr(self, name) for name in ("url", "endpoints", "pause")}
        lists = {"queries": list(self.queries), "stable": list(self.stable)}
        (self.folder / "scene.json").write_text(json.dumps(value | lists), encoding="utf-8")

    def ragwatch(self, *arguments: str, kill_after: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command line in a process; kill it with SIGKILL after so many seconds if it still runs."""
        command = [sys.executable, "-m", "tests.verbs.live_migration", "ragwatch", str(self.folder), *arguments]
        with start_child(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            try:
                out, err = child.communicate(timeout=kill_after)
            except subprocess.TimeoutExpired:
                child.kill()
                out, err = child.communicate()
        return subprocess.CompletedProcess(arguments, child.returncode, out, err)

    def part(self, name: str) -> "subprocess.Popen[str]":
        """Start one of the processes."""
        command = [sys.executable, "-m", "tests.verbs.live_migration", name, str(self.folder)]
        with (self.folder / f"{name}.log").open("w", encoding="utf-8") as log:
            return start_child(command, cwd=ROOT, stdout=log, stderr=log, text=True)

    def stop(self, name: str, process: "subprocess.Popen[str]") -> None:
        """Let a process end by itself; its failure is ours."""
        signal = self.folder / f"stop-{name}"
        signal.touch()
        process.wait(timeout=300)
        signal.unlink()
        assert process.returncode == 0, (self.folder / f"{name}.log").read_text(encoding="utf-8")

    def stopping(self, name: str) -> bool:
        return (self.folder / f"stop-{name}").exists()


def load(folder: Path) -> Scene:
    return Scene(folder, **json.loads((folder / "scene.json").read_text(encoding="utf-8")))


# --- the source ----------------------------------------------------------------------------------------------


def changes_between(versions: Sequence[Mapping[str, str]], seed: int = 0) -> list[Change]:
    """Return single edits that lead from the first version to the last, each release in an order of its own.

    No document returns to a text that it had before: then an old revision that turns up again is a fault.
    """
    shuffle = random.Random(seed)
    had: dict[str, set[str]] = {path: {digest_text(text)} for path, text in versions[0].items()}
    found: list[Change] = []
    for before, after in pairwise(versions):
        step: list[Change] = [(path, None) for path in before if path not in after]
        for path, text in after.items():
            if before.get(path) != text and digest_text(text) not in had.setdefault(path, set()):
                had[path].add(digest_text(text))
                step.append((path, text))
        shuffle.shuffle(step)
        found += step
    return found


def edit(scene: Scene) -> None:
    """Apply the edits one by one until they are used up or it is time to stop; `applied` says how far it came."""
    changes = [json.loads(line) for line in (scene.folder / "changes.jsonl").read_text(encoding="utf-8").splitlines()]
    counter = scene.folder / "applied"
    done = int(counter.read_text()) if counter.exists() else 0
    while done < len(changes) and not scene.stopping("edit"):
        path, text = changes[done]
        target = scene.docs / path
        if text is None:
            target.unlink(missing_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f".{target.name}.new")
            beside.write_text(text, encoding="utf-8")
            beside.replace(target)
        done += 1
        counter.write_text(str(done))
        time.sleep(scene.pause)
    while not scene.stopping("edit"):
        time.sleep(0.1)


def keep(scene: Scene) -> None:
    """Repair through the alias again and again, as a scheduled job does; count the exit codes."""
    codes: dict[str, int] = {}
    while not scene.stopping("keep"):
        code = scene.ragwatch("reindex", "--yes", "--json").returncode
        codes[str(code)] = codes.get(str(code), 0) + 1
        (scene.folder / "kept.json").write_text(json.dumps(codes), encoding="utf-8")
        time.sleep(1)


# --- the application -----------------------------------------------------------------------------------------


@dataclass
class Application:
    """Asks the alias without a pause, with the encoder that the answers say they were made with.

    Every hit carries the fingerprint of its encoder; an answer of another one than the query's is asked for again
    with that one. That is all it takes for an application to live through a switch.
    """

    scene: Scene
    vectors: dict[str, Vectors]
    """Fingerprint → vectors of the queries, (n, dimension)."""
    current: str
    client: Any = None
    asked: int = 0
    failed: list[str] = field(default_factory=list)
    again: int = 0
    lost: list[str] = field(default_factory=list)
    resurrected: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    seen: dict[str, set[str]] = field(default_factory=dict)
    retired: dict[str, set[str]] = field(default_factory=dict)

    def run(self) -> None:
        draws = random.Random(1)
        watched = sorted(
            {json.loads(line)[0] for line in (self.scene.folder / "changes.jsonl").read_text().splitlines()}
        )
        while not self.scene.stopping("query"):
            self._timed(self._ask, draws.randrange(len(self.scene.queries)))
            self._timed(self._present, draws.choice(self.scene.stable))
            self._timed(self._not_again, draws.choice(watched))

    def _timed(self, request: Callable[[Any], None], subject: Any) -> None:
        started = time.monotonic()
        self.asked += 1
        try:
            request(subject)
        except Exception as error:  # noqa: BLE001 - whatever fails is a failed query
            self.failed.append(f"{type(error).__name__}: {error}")
        self.longest_s = max(self.longest_s, time.monotonic() - started)

    def _ask(self, query: int) -> None:
        from qdrant_client.http.exceptions import UnexpectedResponse

        for _ in range(3):
            vector = self.vectors[self.current][query].tolist()
            try:
                hits = self.client.query_points(ALIAS, query=vector, limit=K, with_payload=["_ragwatch"]).points
                made_by = {hit.payload["_ragwatch"]["encoder"] for hit in hits}
            except UnexpectedResponse as error:
                # A vector of another dimension is refused, which says the same as another fingerprint.
                if error.status_code != 400 or b"dimension" not in error.content:
                    raise
                made_by = self.vectors.keys() - {self.current}
            if made_by == {self.current}:
                return
            self.again += 1
            (self.current,) = made_by
        raise AssertionError("no answer by the encoder in service")

    def _revisions(self, path: str) -> set[str]:
        from qdrant_client import models

        condition = models.FieldCondition(key="_ragwatch.doc", match=models.MatchValue(value=f"docs:{path}"))
        points, _ = self.client.scroll(
            ALIAS, scroll_filter=models.Filter(must=[condition]), limit=1000, with_payload=["_ragwatch"]
        )
        return {point.payload["_ragwatch"]["rev"] for point in points}

    def _present(self, path: str) -> None:
        if not self._revisions(path):
            self.lost.append(path)

    def _not_again(self, path: str) -> None:
        """What was served once and then was not must never be served again."""
        now = self._revisions(path)
        before = self.seen.get(path, set())
        if now & self.retired.get(path, set()):
            self.resurrected.append(path)
        self.retired.setdefault(path, set()).update(before - now)
        self.seen[path] = now

    def to_json(self) -> dict[str, Any]:
        return {
            "asked": self.asked,
            "failed": self.failed[:5],
            "failures": len(self.failed),
            "asked_again": self.again,
            "lost": sorted(set(self.lost)),
            "resurrected": sorted(set(self.resurrected)),
            "longest_s": round(self.longest_s, 3),
            "retired": sum(len(revisions) for revisions in self.retired.values()),
        }


def query(scene: Scene) -> None:
    from qdrant_client import QdrantClient

    from ragwatch.encoders import EndpointSettings, open_encoder

    vectors = {}
    for address, model, dimension in scene.endpoints.values():
        encoder = open_encoder(EndpointSettings(address, model, expected_dimension=dimension))
        vectors[encoder.identity.fingerprint] = encoder.encode(list(scene.queries), kind="query")
    client = QdrantClient(url=scene.url, check_compatibility=False, timeout=30)
    application = Application(scene, vectors, next(iter(vectors)), client)
    (scene.folder / "asking").touch()
    application.run()
    client.close()
    (scene.folder / "asked.json").write_text(json.dumps(application.to_json()), encoding="utf-8")


# --- the migration -------------------------------------------------------------------------------------------


@dataclass
class Story:
    """What was done, for the report."""

    kills: list[str] = field(default_factory=list)
    """Each step that was killed, and what `migrate status` showed then: phase, points of the new collection."""
    waits: int = 0
    """Commands that met the lease of a killed process or of the scheduled repair, and were asked again."""
    took: dict[str, float] = field(default_factory=dict)
    """Seconds of the last run of each step that was not killed."""
    again: int = 0
    """Steps that an edit kept from being verified, and were asked again."""


def step(scene: Scene, story: Story, name: str, kills: int, draws: random.Random, longest: float) -> dict[str, Any]:
    """Run one step, killed at random `kills` times, until it is done; return its report."""
    arguments = ["migrate", name, *(["--yes"] if name != "gate" else []), "--json"]
    for _ in range(200):
        started = time.monotonic()
        # Starting the command takes about a second; a kill after that finds it at work.
        done = scene.ragwatch(*arguments, kill_after=draws.uniform(min(0.9, longest / 2), longest) if kills else None)
        if done.returncode == -9:
            kills -= 1
            shown = scene.ragwatch("migrate", "status", "--json")
            assert shown.returncode == 4, shown.stderr
            seen = json.loads(shown.stdout)
            story.kills.append(f"{name}: {seen['phase']}, {seen['new']['points'] or 0} points")
        elif done.returncode == 11:
            # The lease of the process that was killed, or of the scheduled repair.
            story.waits += 1
            time.sleep(1)
        elif done.returncode in (1, 3):
            # A document was edited while it was being verified.
            story.again += 1
        else:
            assert done.returncode == 0, done.stdout + done.stderr
            story.took[name] = time.monotonic() - started
            if not kills:
                report: dict[str, Any] = json.loads(done.stdout)
                return report
            # Done before it could be killed: ask again, and kill sooner.
            longest *= 0.7
    raise AssertionError(f"{name} is never done")


def follow(scene: Scene, report: Mapping[str, Any]) -> None:
    """Edit the configuration as the report says, line by line."""
    lines = scene.config.read_text(encoding="utf-8").splitlines()
    for change in report["configuration"]:
        where, _, value = change.partition(": ")
        lines[int(where.partition(":")[2]) - 1] = value
    scene.config.write_text("\n".join(lines) + "\n", encoding="utf-8")


def settle(scene: Scene) -> None:
    """Repair what the last edits left, and scan deeply: nothing may be wrong."""
    for arguments in (["reindex", "--yes"], ["scan", "--deep"]):
        for _ in range(30):
            done = scene.ragwatch(*arguments)
            if done.returncode != 11:
                break
            time.sleep(1)
        assert done.returncode == 0, done.stdout + done.stderr


def waited_for(path: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not appear"
        time.sleep(0.1)


def contents(url: str, collection: str) -> Iterator[tuple[str, dict[str, Any], Vectors]]:
    """Yield id, payload without times and sketch, and vector of every point."""
    from ragwatch.index.points import without_volatile
    from ragwatch.index.spec import Layout
    from ragwatch.stores import open_store

    store = open_store(collection, url=url)
    for point in store.scroll(vectors=True):
        assert point.vector is not None
        yield point.id, without_volatile(point.payload, point.payload, Layout.PLAIN), point.vector
    store.close()


def assert_equal_to_a_fresh_build(scene: Scene, side: str) -> int:
    """Build the corpus anew in another collection and state, compare with what the alias serves; return its points."""
    name = f"fresh-{side}"
    beside = Scene(scene.folder / name, scene.url, scene.endpoints)
    beside.folder.mkdir()
    beside.docs.symlink_to(scene.docs)
    beside.configure(name, side)
    built = beside.ragwatch("reindex", "--yes")
    assert built.returncode == 0, built.stdout + built.stderr
    fresh = {point_id: (payload, vector) for point_id, payload, vector in contents(scene.url, name)}
    served = {point_id: (payload, vector) for point_id, payload, vector in contents(scene.url, ALIAS)}
    assert served.keys() == fresh.keys()
    for point_id, (payload, vector) in served.items():
        assert payload == fresh[point_id][0]
        assert np.allclose(vector, fresh[point_id][1], atol=1e-5)
    return len(served)


def begin(scene: Scene, documents: Mapping[str, str], changes: Sequence[Change]) -> None:
    """Lay the documents, index them in a collection of its own, and put that behind the alias."""
    for path, text in documents.items():
        target = scene.docs / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    lines = [json.dumps(change) for change in changes]
    (scene.folder / "changes.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    scene.save()
    scene.configure(FIRST, "old")
    for arguments in (["reindex", "--yes"], ["migrate", "plan", "--alias", ALIAS]):
        done = scene.ragwatch(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    scene.configure(ALIAS, "old")
    (scene.folder / "new.toml").write_text(scene.encoder_table("new"), encoding="utf-8")


def migrate_and_back(
    scene: Scene, *, kills: int, seed: int, longest: Mapping[str, float], run_on: float
) -> dict[str, Any]:
    """Migrate and roll back under load, killed at random `kills` times; return the figures.

    `longest` and `run_on` are seconds: the latest kill of each step, and how long the load goes on between the acts.
    Raises `AssertionError` where anything is not as it must be.
    """
    draws, story = random.Random(seed), Story()
    parts = {name: scene.part(name) for name in ("query", "edit", "keep")}
    try:
        waited_for(scene.folder / "asking")
        figures = _forward(scene, story, parts, kills - 1, draws, longest, run_on)
        for name in ("edit", "keep"):
            parts[name] = scene.part(name)
        time.sleep(run_on)
        started = time.monotonic()
        soon = min(longest["rollback"], 0.8 * story.took["cutover"])
        follow(scene, step(scene, story, "rollback", 1, draws, soon))
        figures["rolled_back_s"] = round(time.monotonic() - started, 1)
        time.sleep(run_on)
        _rest(scene, parts)
        figures["points_old"] = assert_equal_to_a_fresh_build(scene, "old")
        scene.stop("query", parts.pop("query"))
    finally:
        for process in parts.values():
            process.kill()
            process.wait(60)
    asked = json.loads((scene.folder / "asked.json").read_text(encoding="utf-8"))
    applied = int((scene.folder / "applied").read_text(encoding="utf-8"))
    figures |= {"kills": story.kills, "waits": story.waits, "asked_again": story.again, "edits": applied}
    figures["application"] = asked
    figures["repairs"] = json.loads((scene.folder / "kept.json").read_text(encoding="utf-8"))
    return figures


def _forward(
    scene: Scene,
    story: Story,
    parts: dict[str, "subprocess.Popen[str]"],
    kills: int,
    draws: random.Random,
    longest: Mapping[str, float],
    run_on: float,
) -> dict[str, Any]:
    planned = scene.ragwatch("migrate", "plan", "--encoder", str(scene.folder / "new.toml"), "--json")
    assert planned.returncode == 0, planned.stderr
    started = time.monotonic()
    filled = step(scene, story, "start", kills - 2 * (kills // 3), draws, longest["start"])
    step(scene, story, "gate", kills // 3, draws, longest["gate"])
    # A cutover takes about as long as the gate that it repeats; later it would be killed when all is done.
    soon = min(longest["cutover"], 0.8 * story.took["gate"])
    over = step(scene, story, "cutover", kills // 3, draws, soon)
    figures = {
        "planned_chunks": json.loads(planned.stdout)["totals"]["encode_chunks"],
        "last_fill": filled["filled"],
        "migrated_s": round(time.monotonic() - started, 1),
    }
    follow(scene, over)
    time.sleep(run_on)
    _rest(scene, parts)
    figures["points_new"] = assert_equal_to_a_fresh_build(scene, "new")
    return figures


def _rest(scene: Scene, parts: dict[str, "subprocess.Popen[str]"]) -> None:
    """Let edits and scheduled repairs end, and repair what the last ones left."""
    for name in ("edit", "keep"):
        scene.stop(name, parts.pop(name))
    settle(scene)


PARTS: dict[str, Callable[[Scene], None]] = {"edit": edit, "keep": keep, "query": query}


def main(part: str, folder: Path, *arguments: str) -> int:
    """Be one of the processes."""
    if part in PARTS:
        PARTS[part](load(folder))
        return 0
    from ragwatch.cli.commands import run

    vars(import_module("ragwatch.fencing"))["LEASE_SECONDS"] = LEASE_SECONDS
    vars(import_module("ragwatch.migration.steps"))["HOLD_SECONDS"] = LEASE_SECONDS
    # Small windows: a kill finds more often something written and something not.
    vars(import_module("ragwatch.apply"))["WINDOW_TEXTS"] = 64
    sys.argv = ["ragwatch", *arguments, "--config", str(folder / "ragwatch.toml")]
    return run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
