"""Several processes at once, on one database."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ragwatch.state.sql_state import SqlState
from tests.servers.children import start_child

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def contend(url: str, role: str, arguments: Sequence[str], *, rounds: int = 1) -> list[list[str]]:
    """Run one process per argument, let all go at the same moment in each round, and return what each printed."""
    processes = [
        start_child(
            [sys.executable, "-W", "error", "-m", "tests.state.contender", url, role, argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for argument in arguments
    ]
    said: list[list[str]] = [[] for _ in processes]
    for _ in range(rounds):
        for process, lines in zip(processes, said, strict=True):
            assert process.stdout is not None
            while (line := process.stdout.readline()) not in ("ready\n", ""):
                lines.append(line)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
    for process, lines in zip(processes, said, strict=True):
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        lines += output.splitlines()
    return [[line.strip() for line in lines] for lines in said]


def test_exactly_one_of_eight_processes_gets_the_lease_and_again_after_it_expired(state_url: str) -> None:
    moments = f"{NOW.isoformat()} {(NOW + timedelta(seconds=61)).isoformat()}"
    first, second = zip(*contend(state_url, "acquire", [moments] * 8, rounds=2), strict=True)
    assert sorted(first) == ["1", *["held"] * 7]
    assert sum(token != "held" for token in second) == 1


def test_no_update_of_400_is_lost(state_url: str) -> None:
    state = SqlState(state_url)
    run = state.start_run("scan", "docs", NOW)
    contend(state_url, "write", [run] * 4)
    findings = state.findings(run)
    assert len({(finding["process"], finding["n"]) for finding in findings}) == len(findings) == 400
    for process in {finding["process"] for finding in findings}:
        assert [finding["n"] for finding in findings if finding["process"] == process] == list(range(100))
    assert len(state.runs(verb="probe", limit=1000)) == 400
    assert len(state.cached("docs", [str(number) for number in range(20)])) == 20
    state.close()
