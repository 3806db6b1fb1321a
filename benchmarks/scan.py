"""What a scan costs while nothing, or almost nothing, has changed.

A generated corpus of real files (ten chunks a document) is indexed with a cheap hash encoder. Then, each in a
process of its own: a scan without changes, beside LangChain's `index()` over the same unchanged chunks (which it is
given in memory, already cut; its record manager is an SQLite file); a scan after one document was edited, and how
much of it is listing files; with `--deep` also the scan that compares every text, payload and vector.

Up to 100,000 chunks the store is the embedded engine; beyond, or with `--url`, a Qdrant server, whose own CPU time
is told apart where this script has started it. Corpora and embedded indexes are kept in `.cache/scan`, so that a
second run only measures.

    python benchmarks/scan.py --json scan.json
    python benchmarks/scan.py --size 10000
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import psutil

from benchmarks.generated_docs import SECTIONS, lay_documents
from benchmarks.measure import CACHE, Target, machine, note, table
from benchmarks.scan_tasks import Setup
from tests.servers.qdrant import ServerMissingError, given_server, running_qdrant

EMBEDDED_LIMIT = 100_000
LANGCHAIN_LIMIT = 100_000
Result = dict[str, Any]


class Server:
    """A Qdrant server, ours or given. The CPU time of a given one is not known."""

    def __init__(self, url: str, process: psutil.Process | None = None) -> None:
        self.url = url
        self._process = process

    def cpu_s(self) -> float | None:
        if self._process is None:
            return None
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def settle(self, collection: str) -> None:
        """Wait until the server has finished optimising, which would be counted into a scan."""
        while httpx.get(f"{self.url}/collections/{collection}", timeout=60).json()["result"]["status"] != "green":
            time.sleep(2)


@contextmanager
def server_for(chunks: int, chosen: argparse.Namespace) -> Iterator[Server | None]:
    """Give the server that this size is measured with, or None for the embedded engine."""
    if chosen.url:
        yield Server(chosen.url)
    elif chunks <= EMBEDDED_LIMIT or chosen.embedded:
        yield None
    elif given := given_server():
        yield Server(given.url)
    else:
        try:
            with running_qdrant() as found:
                children = psutil.Process().children()
                yield Server(found.url, next(one for one in children if "qdrant" in one.name()))
        except ServerMissingError as error:
            raise SystemExit(f"{error}\nOr measure the embedded engine at this size: --embedded") from None


def run_task(task: str, setup: Setup, server: Server | None = None) -> Result:
    """Run one task in a fresh process; adds the server's CPU time, None where it is not known."""
    before = server.cpu_s() if server else None
    script = Path(__file__).with_name("scan_tasks.py")
    found = subprocess.run(
        [sys.executable, script, task, setup.to_json()], stdout=subprocess.PIPE, check=True, text=True
    )
    result: Result = json.loads(found.stdout.splitlines()[-1])
    after = server.cpu_s() if server else None
    return {**result, "server_cpu_s": None if before is None or after is None else after - before}


def measure(chunks: int, chosen: argparse.Namespace) -> dict[str, Result]:
    """Build one size and measure it; every figure by the name of its task."""
    work = CACHE / "scan" / str(chunks)
    work.mkdir(parents=True, exist_ok=True)
    docs = lay_documents(work / "docs", chunks // SECTIONS)
    with server_for(chunks, chosen) as server:
        kind = "server" if server else "embedded"
        note(f"{chunks:,} chunks, {server.url if server else 'embedded engine'}: building the index")
        setup = Setup(str(docs), str(work), f"scan-{chunks}-{kind}", server.url if server else "")
        results = {"build": run_task("build", setup, server)}
        if server:
            server.settle(setup.collection)
        note("scanning")
        results["unchanged"] = median([run_task("unchanged", setup, server) for _ in range(chosen.repeats)])
        results["changed"] = median([run_task("changed", setup, server) for _ in range(chosen.repeats)])
        if chosen.deep:
            results["deep"] = run_task("deep", setup, server)
    if chunks <= LANGCHAIN_LIMIT:
        note("LangChain")
        results["langchain"] = run_task("langchain", setup)
    return {task: {"store": kind, **result} for task, result in results.items()}


def median(results: Sequence[Result]) -> Result:
    """Return the result whose CPU time is the median."""
    middle = statistics.median_low(result["cpu_s"] for result in results)
    return next(result for result in results if result["cpu_s"] == middle)


HEAD = ("chunks, measurement", "store", "CPU s", "server CPU s", "wall s", "RSS before MB", "RSS peak MB")
NAMES = {
    "build": "reindex (set-up)",
    "unchanged": "scan, nothing changed",
    "changed": "scan, one document changed",
    "deep": "deep scan, nothing changed",
    "langchain": "LangChain index(), nothing changed",
}


def rows(chunks: int, results: dict[str, Result]) -> list[list[object]]:
    found: list[list[object]] = []
    for task, result in results.items():
        server = "" if result["server_cpu_s"] is None else float(result["server_cpu_s"])
        name = f"{chunks:,} {NAMES[task]}" + (f" ({result['encoded']:,} encoded)" if task == "build" else "")
        numbers = [float(result[key]) for key in ("wall_s", "rss_before_mb", "rss_peak_mb")]
        found.append([name, "" if task == "langchain" else result["store"], float(result["cpu_s"]), server, *numbers])
    return found


def parts(result: Result) -> dict[str, float]:
    """Return the share of a scan's CPU time that each part takes when run alone, and what remains."""
    shares = {name: spent / result["cpu_s"] for name, spent in result["parts_cpu_s"].items()}
    return {**shares, "the rest": 1 - sum(shares.values())}


def targets(results: dict[int, dict[str, Result]]) -> list[Target]:
    found = []
    for chunks, result in results.items():
        plain = result["unchanged"]
        ours = plain["cpu_s"] + (plain["server_cpu_s"] or 0)
        if "langchain" in result:
            ratio = result["langchain"]["cpu_s"] / ours
            found.append(Target(f"{chunks:,} chunks: CPU s of LangChain ÷ ours", ratio, 20, at_least=True))
        found.append(Target(f"{chunks:,} chunks: peak RSS in MB", plain["rss_peak_mb"], 400))
        spent = result["changed"]["parts_cpu_s"]
        others = max(seconds for part, seconds in spent.items() if part != "listing")
        name = f"{chunks:,} chunks, one document changed: listing ÷ the next largest part"
        found.append(Target(name, spent["listing"] / others, 2, at_least=True))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, nargs="+", default=[100_000, 1_000_000], metavar="CHUNKS")
    parser.add_argument("--repeats", type=int, default=3, help="scans per figure; the median is shown")
    parser.add_argument("--deep", action="store_true", help="measure the deep scan as well")
    parser.add_argument("--embedded", action="store_true", help="use the embedded engine at every size")
    parser.add_argument("--url", help="use this Qdrant server at every size")
    parser.add_argument("--json", type=Path, metavar="FILE")
    chosen = parser.parse_args(arguments)
    where = machine("langchain-core", "qdrant-client", "qdrant-edge-py")
    results = {chunks: measure(chunks, chosen) for chunks in chosen.size}
    print(where, table(HEAD, [row for chunks in results for row in rows(chunks, results[chunks])]), "", sep="\n\n")
    for chunks, result in results.items():
        for task in ("unchanged", "changed"):
            shares = ", ".join(f"{name} {share:.0%}" for name, share in parts(result[task]).items())
            print(f"{chunks:,} {NAMES[task]}: {shares}")
    print("", *targets(results), sep="\n")
    if chosen.json:
        written: dict[str, object] = {"benchmark": "scan", "machine": where, "results": results}
        written["targets"] = [target.to_json() for target in targets(results)]
        chosen.json.write_text(json.dumps(written, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
