"""A pytest plugin: no test of the suite may leave a planted secret behind, whatever it is about.

Secrets that tests plant begin with "planted". After each test, what it printed and logged is searched for them, and so
are the databases, reports, logs and other texts in its folder. Files that hold a secret on purpose, the configuration
and key files, are not: their endings are not in `SEARCHED`.
"""

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

PLANTED = re.compile(rb"planted[-0-9a-z]*[-0-9][-0-9a-z]*", re.IGNORECASE)
"""With a dash or a digit in it, so that prose about planting is none."""
SEARCHED = frozenset(
    {".db", ".db-wal", ".db-journal", ".html", ".json", ".jsonl", ".log", ".md", ".out", ".err", ".txt"}
)
LARGEST = 8_000_000


def leaks_in(text: bytes) -> set[str]:
    """Return the planted secrets in a text."""
    return {found.decode() for found in PLANTED.findall(text)}


def leaking_files(folder: Path) -> Iterator[tuple[Path, set[str]]]:
    """Yield the searched files under a folder that hold planted secrets."""
    for base, _, names in os.walk(folder):
        for path in (Path(base, name) for name in names):
            if path.suffix in SEARCHED and path.is_file() and path.stat().st_size <= LARGEST:
                found = leaks_in(path.read_bytes())
                if found:
                    yield path, found


def leaks_of(report: pytest.TestReport, folder: Path | None) -> list[str]:
    """Say where a finished test left planted secrets."""
    found = [
        f"{name} of the test: {sorted(leaks)}"
        for name, text in report.sections
        if (leaks := leaks_in(text.encode("utf-8", "surrogateescape")))
    ]
    if folder is not None:
        found += [f"{path}: {sorted(leaks)}" for path, leaks in leaking_files(folder)]
    return found


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "plants_openly: leaves a planted secret behind on purpose")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report: pytest.TestReport = yield
    # At the teardown: by then nothing is patched any more.
    if report.when == "teardown" and report.passed and "plants_openly" not in item.keywords:
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        found = leaks_of(report, folder)
        if found:
            report.outcome = "failed"
            report.longrepr = "a planted secret was left behind:\n" + "\n".join(found)
    return report
