"""demo: the whole story on the shipped handbook, with a real encoder and a real index, one screen a step."""

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule

from ragwatch.app import Settings, estimate_plan, load, open_pipeline, open_state, run_probe, utc_now
from ragwatch.cli.init import render_config
from ragwatch.cli.terminal import Terminal
from ragwatch.corpus.identity import normalise
from ragwatch.errors import NotFoundError
from ragwatch.index.points import text_of
from ragwatch.jobs import shipped_folder
from ragwatch.pipeline import Pipeline
from ragwatch.probing.runs import accept_baseline
from ragwatch.process import own_name
from ragwatch.reindex import plan_repair, reindex
from ragwatch.render.plain import Text
from ragwatch.render.probe import baseline_text, probe_text
from ragwatch.render.text import plan_text, reindex_text, scan_text
from ragwatch.scan import scan
from ragwatch.words.text import one_line

EXCERPT = 320


@dataclass(frozen=True)
class Question:
    """A question of the story, and what a right answer quotes; None where the right answer was withdrawn."""

    query: str
    quote: str | None


@dataclass(frozen=True)
class Stage:
    """The folder in which the demo plays."""

    directory: Path
    fixtures: Path
    console: Console
    terminal: Terminal
    pause: bool

    @property
    def corpus(self) -> Path:
        return self.directory / "handbook"

    def settings(self) -> Settings:
        return load(self.directory / "ragwatch.toml")

    def lay(self, version: str) -> None:
        shutil.rmtree(self.corpus, ignore_errors=True)
        shutil.copytree(self.fixtures / version, self.corpus)

    def step(self, title: str) -> None:
        if self.pause and sys.stdin.isatty():
            self.console.input(Text("Enter to go on …", "dim"))
        self.console.print()
        self.console.print(Rule(Text(title, "bold"), align="left"))


def tell(directory: Path | None, *, pause: bool) -> None:
    """Play the story in `directory`, or in a temporary folder that is removed afterwards."""
    fixtures = shipped_folder("fixtures") / "handbook"
    if not fixtures.is_dir():
        raise NotFoundError(f"the demo's corpus {fixtures} is missing", hint="reinstall ragwatchd")
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        _play(directory, fixtures, pause)
        return
    with tempfile.TemporaryDirectory(prefix="ragwatch-demo-") as temporary:
        _play(Path(temporary), fixtures, pause)


def _play(directory: Path, fixtures: Path, pause: bool) -> None:
    terminal = Terminal()
    stage = Stage(directory, fixtures, terminal.out, terminal, pause)
    questions = _questions(fixtures)
    (directory / "ragwatch.toml").write_text(render_config("handbook", "handbook", None), encoding="utf-8")
    stage.step("1  Index version 1 of a handbook, and ask it three questions")
    stage.lay("v1")
    _repair(stage)
    _ask(stage, questions, judge=False)
    _write_golden(stage, "v1_")
    _probe(stage)
    _accept(stage)
    stage.step("2  The handbook moves on: version 2. The index does not. The same questions again")
    stage.lay("v2")
    _ask(stage, questions, judge=True)
    stage.step("3  ragwatch scan: what is wrong, with evidence")
    _scan(stage)
    stage.step("4  ragwatch probe: does it still answer its golden queries?")
    _write_golden(stage, "")
    _probe(stage)
    stage.step("5  ragwatch plan: what a repair would do and cost")
    _plan(stage)
    stage.step("6  ragwatch reindex: only the difference, then the proof")
    _repair(stage)
    stage.step("7  The same questions, and all golden queries, answered from the repaired index")
    _ask(stage, questions, judge=True)
    _probe(stage)
    stage.step("Your own corpus")
    stage.console.print(
        "  ragwatch init --source DIR --collection NAME   # add --url http://127.0.0.1:6333 for a Qdrant server\n"
        "  ragwatch doctor\n  ragwatch scan\n  ragwatch plan\n  ragwatch reindex\n"
        "  ragwatch audit                                 # are the stored vectors what the encoder makes?\n"
        "  ragwatch golden generate --count 100           # questions of your own, then: ragwatch probe\n"
        "  ragwatch daemon                                # all of it on a schedule, told once where you say",
    )


def _questions(fixtures: Path) -> list[Question]:
    lines = (fixtures / "golden.jsonl").read_text(encoding="utf-8").splitlines()
    golden = [json.loads(line) for line in lines if line.strip()]
    return [Question(one["query"], one["quote"]) for one in golden if "demo" in one["tags"]]


def _ask(stage: Stage, questions: Sequence[Question], *, judge: bool) -> None:
    settings = stage.settings()
    with open_pipeline(settings.path, settings=settings) as pipeline:
        for question in questions:
            _answer(stage, pipeline, question, judge=judge)


def _answer(stage: Stage, pipeline: Pipeline, question: Question, *, judge: bool) -> None:
    vector = pipeline.encoder.encode([question.query], kind="query")[0]
    hits = pipeline.store.search(vector, 1)
    text = text_of(hits[0].payload, pipeline.layout) or "" if hits else ""
    document = str(hits[0].payload.get("document", "")) if hits else "nothing found"
    right = question.quote is not None and normalise(question.quote) in normalise(text)
    verdict = ("RIGHT", "bold green") if right else ("WRONG", "bold red")
    stage.console.print()
    stage.console.print(Text.assemble((question.query, "bold"), "  ", verdict if judge else ""))
    excerpt = _excerpt(text, question.quote)
    stage.console.print(Padding(Panel(one_line(excerpt), title=Text(document), title_align="left"), (0, 2)))


def _excerpt(text: str, quote: str | None) -> str:
    """Return the part of the chunk around the quote, or its beginning."""
    flat = normalise(text)
    at = max(0, flat.find(normalise(quote)) - EXCERPT // 3) if quote else 0
    begin = flat.rfind(" ", 0, at) + 1 if at else 0
    piece = flat[begin : begin + EXCERPT]
    return ("… " if begin else "") + piece + (" …" if begin + EXCERPT < len(flat) else "")


def _scan(stage: Stage) -> None:
    with open_pipeline(stage.settings().path) as pipeline, stage.terminal.progress() as progress:
        report = scan(pipeline, progress=progress)
    stage.console.print(scan_text(report))


def _write_golden(stage: Stage, version: str) -> None:
    """Write the golden queries that both versions answer, with the evidence of one of them."""
    lines = (stage.fixtures / "golden.jsonl").read_text(encoding="utf-8").splitlines()
    golden = [json.loads(line) for line in lines if line.strip()]
    kept = [
        {"id": one["id"], "query": one["query"], "document": one[f"{version}document"], "quote": one[f"{version}quote"]}
        for one in golden
        if one["quote"] and one["v1_quote"]
    ]
    text = "".join(json.dumps(query) + "\n" for query in kept)
    (stage.directory / "golden.jsonl").write_text(text, encoding="utf-8")


def _probe(stage: Stage) -> None:
    settings = stage.settings()
    with open_pipeline(settings.path, settings=settings) as pipeline, stage.terminal.progress() as progress:
        report = run_probe(pipeline, settings, progress=progress)
    stage.console.print()
    stage.console.print(probe_text(report))


def _accept(stage: Stage) -> None:
    with open_state(stage.settings().path) as (state, collection):
        accepted = accept_baseline(state, collection, None, utc_now())
    stage.console.print()
    stage.console.print(Text("$ ragwatch baseline set", "bold"))
    stage.console.print(baseline_text(accepted, accepted))


def _plan(stage: Stage) -> None:
    settings = stage.settings()
    with open_pipeline(settings.path, settings=settings) as pipeline:
        _, plan = plan_repair(pipeline)
        estimate = estimate_plan(plan, pipeline, settings)
    stage.console.print(plan_text(plan, estimate, []))


def _repair(stage: Stage) -> None:
    settings = stage.settings()
    with (
        open_pipeline(settings.path, settings=settings, writing=True) as pipeline,
        stage.terminal.progress() as progress,
    ):
        limits = settings.config.guards.limits
        report = reindex(pipeline, limits=limits, holder=own_name(), progress=progress)
    stage.console.print(reindex_text(report))
