"""How much of the encoder's own throughput is left after us.

Encodes the same texts with `SentenceTransformer.encode` and with ours, in one process: by the encoder alone
(`--part encode`), or by a whole reindex from files into an empty embedded index, with its scan, its writes and its
verification (`--part reindex`). Slice by slice the two take
turns, and turns at being first, so that other load on the machine hits both; the result is the median of the
slices' ratios (target: 0.95 or more), of CPU seconds on a CPU, where wall time says more about the neighbours, and
of wall seconds elsewhere. Texts are chunks of the Python documentation that every Python carries along, so nothing
has to be downloaded.

    python benchmarks/encode.py --chunks 1000 --rounds 3
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ragwatch.encoders import SentenceTransformerSettings
from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder

TARGET = 0.95
BATCH = 32
SLICE = {"encode": 64, "reindex": 1000}
"""Texts per turn; a reindex has costs per run that a small turn would overstate."""
CHUNK_CHARACTERS = 600

Contender = Callable[[list[str]], object]


def chunks(count: int) -> list[str]:
    """Return chunks of whole paragraphs; from the second pass on numbered, so that none is equal to another."""
    texts: list[str] = []
    text = ""
    for paragraph in "\n\n".join(topics[name] for name in sorted(topics)).split("\n\n"):
        if text and len(text) + len(paragraph) > CHUNK_CHARACTERS:
            texts.append(text)
            text = ""
        text += f"{' '.join(paragraph.split())} "
    distinct = list(dict.fromkeys(texts))
    return [distinct[place % len(distinct)] + str(place // len(distinct)) for place in range(count)]


def seconds(contender: Contender, texts: list[str]) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    contender(texts)
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(baseline: Contender, ours: Contender, texts: list[str], rounds: int, size: int) -> dict[str, Any]:
    """Time both in turn. A ratio above 1 means that ours was faster."""
    slices = [texts[start : start + size] for start in range(0, len(texts), size)] * rounds
    theirs: list[tuple[float, float]] = []
    mine: list[tuple[float, float]] = []
    for number, part in enumerate(slices):
        order = [(baseline, theirs), (ours, mine)]
        for contender, times in order if number % 2 else reversed(order):
            times.append(seconds(contender, part))
        print(f"slice {number + 1} of {len(slices)}", file=sys.stderr)
    wall, cpu = ([a[clock] / b[clock] for a, b in zip(theirs, mine, strict=True)] for clock in (0, 1))
    total = len(texts) * rounds
    return {
        "chunks": len(texts),
        "rounds": rounds,
        "slices": len(slices),
        "baseline_chunks_per_second": round(total / sum(time[0] for time in theirs), 1),
        "our_chunks_per_second": round(total / sum(time[0] for time in mine), 1),
        "wall_ratios": f"{min(wall):.3f} to {max(wall):.3f}",
        "median_wall_ratio": round(statistics.median(wall), 4),
        "median_cpu_ratio": round(statistics.median(cpu), 4),
    }


def compare(part: str, texts: list[str], rounds: int, device: str) -> dict[str, Any]:
    """Measure one part against the library's own `encode`."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformerEncoder(SentenceTransformerSettings(device=device, batch_size=BATCH))
    model = SentenceTransformer(str(encoder.location.folder), device=device or None, local_files_only=True)
    baseline: Contender = lambda given: model.encode(given, batch_size=BATCH, show_progress_bar=False)  # noqa: E731
    if part == "reindex":
        texts = whole_chunks(encoder, texts)
    with reindexer(encoder) if part == "reindex" else nullcontext(encoder.encode) as ours:
        for contender in (baseline, ours):
            contender(texts[:BATCH])
        result = measure(baseline, ours, texts, rounds, SLICE[part])
    clock = "cpu" if model.device.type == "cpu" else "wall"
    return {**result, "clock": clock, "median_ratio": result[f"median_{clock}_ratio"], "target": TARGET}


def whole_chunks(encoder: SentenceTransformerEncoder, texts: list[str]) -> list[str]:
    """Return the texts that the chunker leaves whole, so that both sides encode exactly the same texts."""
    from ragwatch.corpus.chunking import SectionChunker
    from ragwatch.corpus.document import Document

    chunker = SectionChunker()
    return [text for text in texts if len(chunker.split(Document("docs", "d", text), encoder.count_tokens)) == 1]


@contextmanager
def reindexer(encoder: SentenceTransformerEncoder) -> Iterator[Contender]:
    """Yield a function that indexes one file per text into an index that is dropped first, and verifies it."""
    from ragwatch.corpus.chunking import SectionChunker
    from ragwatch.index.guards import Limits
    from ragwatch.pipeline import Pipeline
    from ragwatch.reindex import reindex
    from ragwatch.sources.files import FileSource
    from ragwatch.state import open_state
    from ragwatch.stores import open_store

    def index(texts: list[str]) -> None:
        store.drop()
        with tempfile.TemporaryDirectory() as docs:
            for number, text in enumerate(texts):
                (Path(docs) / f"{number}.txt").write_text(text, encoding="utf-8")
            source = FileSource("docs", docs)
            pipeline = Pipeline("docs", (source,), SectionChunker(), encoder, store, state, lambda: datetime.now(UTC))
            report = reindex(pipeline, limits=Limits(), holder="benchmark")
        if not report.verified or report.applied.encoded_chunks != len(texts):
            raise SystemExit(f"{report.applied.encoded_chunks} of {len(texts)} encoded; left: {report.remaining}")

    with tempfile.TemporaryDirectory() as name:
        store = open_store("docs", path=Path(name) / "index")
        state = open_state(f"sqlite:///{Path(name) / 'state.db'}")
        try:
            yield index
        finally:
            state.close()
            store.close()


def machine() -> str:
    import torch

    where = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{platform.system()} {where}, {os.cpu_count()} cores ({torch.get_num_threads()} torch threads), "
        f"load {load:.1f}, Python {platform.python_version()}, torch {torch.__version__}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--chunks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="", help="as torch names it; default: the best there is")
    parser.add_argument("--part", choices=SLICE, default="encode")
    chosen = parser.parse_args(arguments)
    result = compare(chosen.part, chunks(chosen.chunks), chosen.rounds, chosen.device)
    print(json.dumps({"benchmark": chosen.part, "machine": machine(), **result}, indent=1))
    return 0 if result["median_ratio"] >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
