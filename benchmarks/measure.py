"""What the benchmarks share: the machine in a line, CPU time, memory, and tables."""

import importlib.metadata
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
CACHE = REPOSITORY / ".cache"
MEGABYTE = 1_000_000


@dataclass
class Spent:
    """Seconds that a block took: CPU (user and system, all threads of this process) and wall."""

    cpu_s: float = 0.0
    wall_s: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Spent]:
    """Measure the block; the result is final when the block has ended."""
    spent = Spent()
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        yield spent
    finally:
        spent.cpu_s = time.process_time() - cpu
        spent.wall_s = time.perf_counter() - wall


def memory_mb() -> tuple[float, float]:
    """Return this process's resident memory now and at its highest, in MB.

    Linux says both of the program itself. `getrusage` counts the parent's memory before `exec` into the highest, so
    it is only used where there is nothing better.
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        now, highest = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
        return now / MEGABYTE, highest / MEGABYTE
    unit = 1 if sys.platform == "darwin" else 1024
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return highest / MEGABYTE, highest / MEGABYTE


def machine(*packages: str) -> str:
    """Say what the figures were measured on, with the versions of `packages`."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, "
        f"Python {platform.python_version()}, {versions}"
    )


def note(text: str) -> None:
    """Say on stderr what is going on."""
    print(text, file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table: the first column to the left, numbers to the right."""
    shown = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(head), *shown]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return f"| {' | '.join([cells[0].ljust(widths[0]), *padded[1:]])} |"

    rule = "|".join([f":{'-' * (widths[0] + 1)}", *(f"{'-' * (width + 1)}:" for width in widths[1:])])
    return "\n".join([line(head), f"|{rule}|", *map(line, shown)])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


@dataclass(frozen=True)
class Target:
    """A figure that is meant to be reached. Reported, never asserted: machines differ."""

    what: str
    reached: float
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.reached >= self.bound if self.at_least else self.reached <= self.bound

    def __str__(self) -> str:
        sign, met = ">=" if self.at_least else "<=", "met    " if self.met else "NOT MET"
        return f"{met}  {self.what}: {_cell(self.reached)} (target {sign} {self.bound:g})"

    def to_json(self) -> dict[str, object]:
        return {"what": self.what, "reached": round(self.reached, 4), "bound": self.bound, "met": self.met}
