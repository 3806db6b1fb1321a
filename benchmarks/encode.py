"""How much of the encoder's own throughput is left after us.

Encodes the same texts with `SentenceTransformer.encode` and with ours, in one process. Slice by slice the two take
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
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ragwatch.encoders import SentenceTransformerSettings
from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder

TARGET = 0.95
BATCH = 32
SLICE = 64
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
    return [texts[place % len(texts)] + str(place // len(texts)) for place in range(count)]


def seconds(contender: Contender, texts: list[str]) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    contender(texts)
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(baseline: Contender, ours: Contender, texts: list[str], rounds: int) -> dict[str, Any]:
    """Time both in turn. A ratio above 1 means that ours was faster."""
    slices = [texts[start : start + SLICE] for start in range(0, len(texts), SLICE)] * rounds
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


def encode_alone(texts: list[str], rounds: int, device: str) -> dict[str, Any]:
    """`encode` against the library's own."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformerEncoder(SentenceTransformerSettings(device=device, batch_size=BATCH))
    model = SentenceTransformer(str(encoder.location.folder), device=device or None, local_files_only=True)
    baseline: Contender = lambda given: model.encode(given, batch_size=BATCH, show_progress_bar=False)  # noqa: E731
    for contender in (baseline, encoder.encode):
        contender(texts[:BATCH])
    result = measure(baseline, encoder.encode, texts, rounds)
    clock = "cpu" if model.device.type == "cpu" else "wall"
    return {**result, "clock": clock, "median_ratio": result[f"median_{clock}_ratio"], "target": TARGET}


PARTS: dict[str, Callable[[list[str], int, str], dict[str, Any]]] = {"encode": encode_alone}
"""What can be measured against the library alone. A whole reindex belongs here as another entry."""


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
    parser.add_argument("--part", choices=PARTS, default="encode")
    chosen = parser.parse_args(arguments)
    result = PARTS[chosen.part](chunks(chosen.chunks), chosen.rounds, chosen.device)
    print(json.dumps({"benchmark": chosen.part, "machine": machine(), **result}, indent=1))
    return 0 if result["median_ratio"] >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
