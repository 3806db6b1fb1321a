"""`open_state`: which URLs it takes, what it costs, and what it does not say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ragwatch.errors import ConfigError
from ragwatch.state import open_state
from ragwatch.state.sql_state import SqlState


def test_opening_a_current_database_loads_neither_sqlmodel_nor_alembic(sqlite_file: Path) -> None:
    code = (
        "import sys\n"
        "from ragwatch.state import open_state\n"
        "state = open_state(sys.argv[1])\n"
        "state.runs()\n"
        "state.close()\n"
        "print(*(name for name in ('sqlalchemy', 'sqlmodel', 'alembic', 'psycopg') if name in sys.modules))\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, f"sqlite:///{sqlite_file}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_relative_path_does_not_follow_a_later_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = open_state("sqlite:///.ragwatch/state.db")
    monkeypatch.chdir(os.sep)
    state.runs()
    state.close()
    assert (tmp_path / ".ragwatch" / "state.db").is_file()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_all_spellings_of_postgresql_are_taken(postgres_url: str, scheme: str) -> None:
    open_state(f"{scheme}://{postgres_url.partition('://')[2]}").close()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:state.db", "sqlite:///a?mode=ro"]
)
def test_a_sqlite_url_has_to_name_a_file(url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:///"):
        open_state(url)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:planted@host/db",
        "postgresql//user:planted@host/db",
        "user:planted@host://db",
        "postgresql://user:12/planted@host/db",
        "postgresql://user:plan@planted@host/db",
        "postgresql://user:planted@host:port/db?nonsense=1",
        "postgresql://user:%zzplanted@host/db",
        "planted",
        "",
    ],
)
def test_a_bad_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_state(url)
    assert caught.value.hint
    assert "planted" not in f"{caught.value!r} {caught.value.hint} {caught.value.__context__!r}"


def test_the_representation_names_the_place_without_credentials(postgres_url: str) -> None:
    state = SqlState(postgres_url)
    password = postgres_url.partition("://")[2].rpartition("@")[0].partition(":")[2]
    shown = repr(state)
    state.close()
    assert postgres_url.rpartition("/")[2] in shown
    assert not password or password not in shown
