"""What `scan.py` measures, each task in a process of its own: `python scan_tasks.py TASK SETUP_AS_JSON`.

The result is the last line on stdout, as JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.generated_docs import document_path
from benchmarks.measure import memory_mb, note, stopwatch
from ragwatch.corpus.chunking import SectionChunker
from ragwatch.corpus.document import Document
from ragwatch.index.guards import Limits
from ragwatch.pipeline import Pipeline, batched
from ragwatch.ports import Key
from ragwatch.reindex import reindex
from ragwatch.scan import ScanReport, scan
from ragwatch.sources.files import FileSource
from ragwatch.state import open_state
from ragwatch.stores import open_store
from tests.fakes.hash_encoder import HashEncoder

if TYPE_CHECKING:
    from benchmarks.comparators import LangChainIndex

DIMENSION = 32
CACHE_BATCH = 1000
EDITED = 777
"""Number of the document that is edited."""


@dataclass(frozen=True)
class Setup:
    """Where one corpus and its index are."""

    docs: str
    work: str
    collection: str
    url: str = ""
    """The server's; empty for the embedded engine."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@contextmanager
def opened(setup: Setup) -> Iterator[Pipeline]:
    """Open the pipeline, and the collection with it, so that opening is in no measurement."""
    work = Path(setup.work)
    store = open_store(setup.collection, url=setup.url or None, path=work / "index", timeout=600)
    state = open_state(f"sqlite:///{work / (setup.collection + '.db')}")
    try:
        store.describe()
        yield Pipeline(
            collection=setup.collection,
            sources=(FileSource("docs", setup.docs),),
            chunker=SectionChunker(),
            encoder=HashEncoder(dimension=DIMENSION, record=False),
            store=store,
            state=state,
            clock=lambda: datetime.now(UTC),
        )
    finally:
        store.close()
        state.close()


def build(setup: Setup) -> dict[str, Any]:
    """Build the index, or repair what is left of an earlier run."""
    said = time.monotonic()

    def progress(what: str, done: int, total: int | None) -> None:
        nonlocal said
        if time.monotonic() - said > 60:
            said = time.monotonic()
            note(f"  {done:,}{f' of {total:,}' if total else ''} {what}")

    with opened(setup) as pipeline:
        before, _ = memory_mb()
        with stopwatch() as spent:
            limits = Limits(delete_share=1.0, delete_chunks=10**9, source_shrink=1.0)
            report = reindex(pipeline, limits=limits, holder="benchmark", progress=progress)
        assert report.verified, report.remaining
        peak, encoded = memory_mb()[1], report.applied.encoded_chunks
        return {**asdict(spent), "rss_before_mb": before, "rss_peak_mb": peak, "encoded": encoded}


def _measured(pipeline: Pipeline, *, deep: bool = False) -> tuple[ScanReport, dict[str, Any]]:
    before, _ = memory_mb()
    with stopwatch() as spent:
        report = scan(pipeline, deep=deep)
    peak = memory_mb()[1]
    sizes = {"documents": report.documents, "chunks": report.chunks, "points": report.points}
    return report, {**asdict(spent), "rss_before_mb": before, "rss_peak_mb": peak, **sizes}


def unchanged(setup: Setup, *, deep: bool = False) -> dict[str, Any]:
    """Scan an index that is as it should be, then time the parts of such a scan alone."""
    with opened(setup) as pipeline:
        report, result = _measured(pipeline, deep=deep)
        assert not report.findings, report.findings[:3]
        assert report.chunks == report.points
        return result if deep else {**result, "parts_cpu_s": _parts(pipeline)}


def deep(setup: Setup) -> dict[str, Any]:
    """Scan, comparing text, payload and vector of every chunk."""
    return unchanged(setup, deep=True)


def changed(setup: Setup) -> dict[str, Any]:
    """Scan after one document was edited; the edit is taken back afterwards."""
    path = document_path(Path(setup.docs), EDITED)
    text = path.read_text()
    with opened(setup) as pipeline:
        path.write_text(f"{text}\nOne more sentence.\n")
        try:
            report, result = _measured(pipeline)
        finally:
            path.write_text(text)
        assert [change.id for change in report.plan.changes] == [f"{path.parent.name}/{path.name}"], report.plan
        return {**result, "parts_cpu_s": _parts(pipeline)}


def _parts(pipeline: Pipeline) -> dict[str, float]:
    """Time listing, the store's counts and the look at the document cache, each alone, in CPU seconds."""
    (source,) = pipeline.sources
    with stopwatch() as listing:
        ids = [entry.id for entry in source.entries()]
    with stopwatch() as counting:
        pipeline.store.facet(Key.REVISION)
    with stopwatch() as cached:
        for batch in batched(ids, CACHE_BATCH):
            pipeline.state.cached(source.name, batch)
    return {"listing": listing.cpu_s, "counting": counting.cpu_s, "cached": cached.cpu_s}


def langchain(setup: Setup) -> dict[str, Any]:
    """LangChain's `index()` over the same chunks, all of them unchanged, already cut and in memory."""
    from langchain_core.documents import Document as LangChainDocument

    from benchmarks.comparators import LangChainIndex

    with opened(setup) as pipeline:
        (source,) = pipeline.sources
        outcomes = source.read([entry.id for entry in source.entries()])
        documents = [
            LangChainDocument(page_content=chunk.text, metadata={"source": document.id})
            for document in outcomes
            if isinstance(document, Document)
            for chunk in pipeline.chunker.split(document, pipeline.encoder.count_tokens)
        ]
    with TemporaryDirectory(dir=setup.work) as records:
        index = LangChainIndex(Path(records))
        index.index(documents)
        return _langchain_again(index, documents)


def _langchain_again(index: "LangChainIndex", documents: list[Any]) -> dict[str, Any]:
    before, _ = memory_mb()
    with stopwatch() as spent:
        counts = index.index(documents)
    assert counts["num_skipped"] == len(documents), counts
    return {**asdict(spent), "rss_before_mb": before, "rss_peak_mb": memory_mb()[1], "chunks": len(documents)}


TASKS: dict[str, Callable[[Setup], dict[str, Any]]] = {
    "build": build,
    "unchanged": unchanged,
    "changed": changed,
    "deep": deep,
    "langchain": langchain,
}


if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](Setup(**json.loads(sys.argv[2])))))
