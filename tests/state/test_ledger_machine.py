"""The fake and SQLite, told the same things in any order, say the same."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from ragwatch.errors import NotFoundError, OvertakenError
from ragwatch.health.incidents import Phase
from ragwatch.ports.incidents import Ledger
from ragwatch.state.sql_state import SqlState
from tests.fakes.memory_state import MemoryState
from tests.state.ledger_contract import NOW, incident, lag, message, transition

names = st.sampled_from("abc")
minutes = st.integers(0, 6).map(lambda number: NOW + timedelta(minutes=number))
holders = st.sampled_from(["me", "you"])
ids = st.sampled_from([f"{thread}{number}" for thread in "abc" for number in range(3)])


class Machine(RuleBasedStateMachine):
    """Each rule does one thing to both, and compares what they answer and what they hold."""

    path: Path

    def __init__(self) -> None:
        super().__init__()
        self.sides: list[Ledger] = [MemoryState(), SqlState(f"sqlite:///{self.path}")]

    def teardown(self) -> None:
        for side in self.sides:
            side.prune(NOW + timedelta(days=900), keep_runs=0)
            side.close()
        for beside in self.path.parent.glob("*"):
            beside.unlink()
        shutil.copy(self.path.parent.with_suffix(".empty"), self.path)

    def both(self, act: Callable[[Ledger], Any]) -> None:
        said: list[object] = []
        for side in self.sides:
            try:
                said.append(act(side))
            except (OvertakenError, NotFoundError) as error:
                said.append(type(error))
        assert said[0] == said[1]
        fake, real = (self.shown(side) for side in self.sides)
        assert fake == real

    @staticmethod
    def shown(side: Ledger) -> list[object]:
        return [
            side.incidents(ended=True),
            side.incidents(collection="docs"),
            side.transitions(),
            side.messages(),
            side.depth("docs"),
            side.lags("docs", NOW + timedelta(minutes=3)),
            side.pending("docs"),
            [(run.id, run.outcome) for run in side.runs()],
        ]

    @rule(name=names, version=st.integers(1, 3), at=minutes, ended=st.booleans(), threads=st.lists(ids, max_size=3))
    def commit(self, name: str, version: int, at: Any, ended: bool, threads: list[str]) -> None:
        one = replace(incident(name, version=version), first_seen=at)
        one = replace(one, phase=Phase.RESOLVED, resolved=at) if ended else one
        queued = [message(id_, thread=id_[0], due=at) for id_ in threads]
        self.both(lambda side: side.commit([one], [transition(name, at)], queued, now=NOW))

    @rule(name=names, version=st.integers(1, 3))
    def forget(self, name: str, version: int) -> None:
        gone = incident(name, version=version)
        self.both(lambda side: side.commit(forgotten=[gone], now=NOW))

    @rule(holder=holders, at=minutes, limit=st.integers(1, 3))
    def claim(self, holder: str, at: Any, limit: int) -> None:
        self.both(lambda side: side.claim(holder, at, 120, collection="docs", channels=["slack"], limit=limit))

    @rule(id_=ids, holder=holders, at=minutes, how=st.sampled_from(["deliver", "postpone", "give up", "retry"]))
    def settle(self, id_: str, holder: str, at: Any, how: str) -> None:
        acts: dict[str, Callable[[Ledger], None]] = {
            "deliver": lambda side: side.deliver(id_, holder, at, {"by": holder}),
            "postpone": lambda side: side.postpone(id_, holder, at, "later"),
            "give up": lambda side: side.give_up(id_, holder, at, "never"),
            "retry": lambda side: side.retry(id_, at),
        }
        self.both(acts[how])

    @rule(name=names, seen=minutes, visible=st.none() | minutes)
    def record(self, name: str, seen: Any, visible: Any) -> None:
        self.both(lambda side: side.record([lag(name, seen=seen, visible=visible)]))

    @rule(at=minutes)
    def run(self, at: Any) -> None:
        self.both(lambda side: side.record_findings(side.start_run("scan", "docs", at), [{"n": 1}, {"n": 2}]))

    @rule(before=minutes, keep=st.integers(0, 2))
    def prune(self, before: Any, keep: int) -> None:
        self.both(lambda side: side.prune(before, keep_runs=keep))


def test_the_fake_and_sqlite_say_the_same(migrated_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "machine"
    folder.mkdir()
    shutil.copy(migrated_file, tmp_path / "machine.empty")
    Machine.path = Path(shutil.copy(migrated_file, folder / "state.db"))
    quick = settings(max_examples=25, stateful_step_count=20, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Machine, settings=quick)
