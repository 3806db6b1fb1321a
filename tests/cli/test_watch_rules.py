"""What a configuration says about incidents."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragwatch.app import load
from ragwatch.app.incidents import overdue_after, watch_rules
from ragwatch.config.daemon import DaemonConfig
from ragwatch.errors import ConfigError
from ragwatch.health.findings import Severity
from ragwatch.health.routing import Route
from ragwatch.watch import WatchRules

BASE = 'collection = "docs"\n[[sources]]\nname = "docs"\npath = "docs"\n'
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def rules(tmp_path: Path, text: str = "") -> WatchRules:
    path = tmp_path / "ragwatch.toml"
    path.write_text(BASE + text, encoding="utf-8")
    return watch_rules(load(path))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_without_a_word_about_it_the_defaults_hold(tmp_path: Path) -> None:
    found = rules(tmp_path)
    assert (found.rules.confirm, found.rules.needed("encoder_changed")) == (2, 1)
    assert found.telling.repeat_every == DAY
    assert found.routes == ()
    assert found.quiet(at("2026-03-01")) is None
    assert found.link == "http://127.0.0.1:9464/"


def test_what_is_configured_is_what_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
    [alerts]
    confirm = 3
    confirm_causes = { unreadable = 5 }
    reopen_within = "1h"
    grow_by = 3.0
    flaps = 4
    link = "https://status.example/"
    [[alerts.channels]]
    name = "ops"
    kind = "slack"
    url_env = "SLACK"
    sources = ["docs"]
    severity = "error"
    """
    found = rules(tmp_path, text)
    assert [found.rules.needed(cause) for cause in ("index_behind", "unreadable", "job_missed")] == [3, 5, 1]
    assert (found.rules.flaps, found.telling.settle, found.telling.grow_by) == (4, HOUR, 3.0)
    assert found.routes == (Route("ops", sources=("docs",), severity=Severity.ERROR),)
    assert found.link == "https://status.example/"


def test_maintenance_is_quiet_until_the_last_window_is_over(tmp_path: Path) -> None:
    window = '[[alerts.maintenance]]\ncron = "0 22 * * sat"\nlasts = "4h"\ntimezone = "Europe/Berlin"\n'
    overlapping = '[[alerts.maintenance]]\ncron = "0 0 * * sun"\nlasts = "6h"\n'
    found = rules(tmp_path, window + overlapping)
    assert found.quiet(at("2026-03-07T20:59")) is None
    assert found.quiet(at("2026-03-07T21:00")) == at("2026-03-08T01:00")
    assert found.quiet(at("2026-03-08T00:30")) == at("2026-03-08T06:00")
    assert found.quiet(at("2026-03-08T06:00")) is None


def test_digests_are_due_at_the_configured_time_of_day(tmp_path: Path) -> None:
    found = rules(tmp_path, '[alerts]\ndigest_at = "08:30"\ndigest_timezone = "Europe/Berlin"\n')
    assert found.digest is not None
    assert found.digest(at("2026-03-02T07:30")) == at("2026-03-02T07:30")
    assert found.digest(at("2026-03-02T07:29")) == at("2026-03-01T07:30")


def test_a_maintenance_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'99' is no minute: it must lie between 0 and 59"):
        rules(tmp_path, '[[alerts.maintenance]]\ncron = "99 22 * * sat"\nlasts = "4h"\n')


@pytest.mark.parametrize(
    ("schedule", "allowed"),
    [
        ({}, DAY),
        ({"scan": {"every": "1h"}}, 3 * HOUR),
        ({"scan": {"cron": "0 * * * *"}}, 3 * HOUR),
        ({"scan": {"cron": "0 4 * * mon"}}, 21 * DAY),
        ({"scan": {"cron": "0 9-17 * * mon-fri"}}, 3 * 64 * HOUR),
        ({"scan": {"cron": "0 4 last * *"}}, DAY),
    ],
)
def test_a_check_is_overdue_after_three_intervals(schedule: dict[str, object], allowed: timedelta) -> None:
    assert overdue_after(DaemonConfig.model_validate({"schedule": schedule}))["scan"] == allowed


def test_a_check_that_is_switched_off_is_never_overdue() -> None:
    assert "audit" not in overdue_after(DaemonConfig.model_validate({"schedule": {"audit": {"enabled": False}}}))
