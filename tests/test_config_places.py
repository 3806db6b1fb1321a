"""An error of the configuration names file, line and key, however deep the key lies."""

from pathlib import Path

import pytest

from ragwatch.config.loading import line_of, load_config
from ragwatch.errors import ConfigError

HEAD = """\
collection = "docs"

[[sources]]
name = "docs"
path = "docs"
include = [
  "**/*.md",
  "[[alerts.channels]]",
]
"""

CASES = {
    "[daemon.schedule.scan]\nevrey = '5m'\n": (11, 'daemon.schedule.scan.evrey: unknown key; did you mean "every"?'),
    "[daemon.schedule.scan]\ncron = '15 2 * *'\n": (10, "daemon.schedule.scan: cron has five fields"),
    "[daemon.schedule]\nscan = { every = '5m' }\naudit.cron = '1 2 3 4 5 6'\n": (12, "daemon.schedule.audit"),
    "[daemon.schedule.files]\nevery = 'soon'\n": (11, "daemon.schedule.files.every = 'soon': must be a number"),
    "[daemon.schedule.\"my job\"]\ntimezone = 'Mars'\n": (
        11,
        "daemon.schedule.my job.timezone = 'Mars': must be a time",
    ),
    "[[objectives]]\nedit = '1h'\n[[objectives]]\nedit = '1h'\ntarget = 2\n": (14, "objectives.1.target = 2"),
    "[[objectives]]\nedit = '1h'\n\n[[objectives]]\ntarget = 0.5\n": (13, "objectives.1: give at least one of"),
    "[[objectives]]\nedti = '1h'\n": (11, 'objectives.0.edti: unknown key; did you mean "edit"?'),
    "[[alerts.channels]]\nname = 'a'\nkind = 'slack'\nurl_env = 'A'\n[[alerts.channels]]\nname = 'b'\nkind = 'fax'\n": (
        16,
        "alerts.channels.1.kind = 'fax'",
    ),
    "[[alerts.channels]]\nname = 'a'\nkind = 'slack'\n": (10, 'alerts.channels.0: kind "slack" needs url_env'),
    "[[alerts.channels]]\nname = 'a'\nkind = 'slack'\nurl = 'x'\n": (
        13,
        "alerts.channels.0.url: unknown key; did you mean",
    ),
    "[alerts]\nconfirm_causes = { index_behind = 0 }\n": (11, "alerts.confirm_causes.index_behind = 0"),
    "[alerts]\nexcerpts = '''\n[daemon]\n'''\n": (11, "alerts.excerpts"),
    "[alerts]\n[[alerts.maintenance]]\ncron = '0 2 * * sun'\nlasts = '0s'\n": (13, "alerts.maintenance.0.lasts = '0s'"),
}


@pytest.mark.parametrize("text", CASES)
def test_a_mistake_is_shown_where_it_is(tmp_path: Path, text: str) -> None:
    line, said = CASES[text]
    path = tmp_path / "ragwatch.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_config(path, {})
    assert str(raised.value).startswith(f"{path}:{line}: {said}"), str(raised.value)


def test_a_mistake_in_a_source_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "ragwatch.toml"
    path.write_text(HEAD + "[[sources]]\nname = 'other'\npath = 'x'\nmax_byts = 3\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r'ragwatch.toml:13: sources.1.max_byts: unknown key; did you mean "max_bytes"'
    ):
        load_config(path, {})


def test_a_place_that_the_file_does_not_have_is_its_table() -> None:
    assert line_of("collection = 'x'\n[store]\nurl = 'y'\n", ("store", "grpc")) == 2
    assert line_of("collection = 'x'\n", ("store", "grpc")) == 1
