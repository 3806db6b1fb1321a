"""Killed at any moment, with receivers that misbehave: everything arrives, in order. benchmarks/outbox.py does more."""

from pathlib import Path

import pytest

from tests.alerts.kills import kill_and_check


@pytest.mark.parametrize("seed", [7])
def test_no_kill_loses_doubles_or_reorders_an_alert(tmp_path: Path, seed: int) -> None:
    outcome = kill_and_check(tmp_path, kills=7, incidents=24, seed=seed)
    assert not outcome.faults
    assert outcome.kills == 7
    assert all(arrived.duplicates for arrived in outcome.channels.values())
