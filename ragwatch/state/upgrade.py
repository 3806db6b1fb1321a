"""Creates or upgrades the tables with Alembic, in one transaction and under a lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ragwatch.errors import StateError
from ragwatch.state.database import VERSION_TABLE, Database
from ragwatch.state.sqlite import SqliteDatabase

MIGRATION_LOCK = 0x7261677761746368
"""Key of the advisory lock on PostgreSQL; on SQLite the write lock serves."""


def upgrade(database: Database) -> None:
    """Bring the tables to the newest revision; another process may be doing the same.

    All or nothing: interrupted anywhere, the database is as before, and the next start upgrades it.
    Raises `StateError` where a newer ragwatch has been here.
    """
    if isinstance(database, SqliteDatabase):
        database.use_wal()
    with migrating(database) as connection:
        config = alembic_config(connection)
        _refuse_unknown(database, connection, config)
        command.upgrade(config, "head")


@contextmanager
def migrating(database: Database) -> Iterator[Connection]:
    """Yield SQLAlchemy's connection in a transaction that shuts out other migrations."""
    scheme = "sqlite" if database.dialect == "sqlite" else "postgresql+psycopg"
    engine = create_engine(f"{scheme}://", creator=database.connect, poolclass=NullPool)
    if database.dialect == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = OFF"))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    else:
        # Left in autocommit, every statement would be a transaction: no lock, and no way back after a crash.
        event.listen(engine, "connect", lambda connection, _: setattr(connection, "autocommit", False))
    with database.translating():
        try:
            with engine.begin() as connection:
                if database.dialect == "postgresql":
                    # Also for the tables that other processes read.
                    connection.execute(text(f"SET LOCAL lock_timeout = {int(database.busy_seconds * 1000)}"))
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
                yield connection
        except DBAPIError as error:
            if error.orig is None:
                raise
            raise error.orig from None
        finally:
            engine.dispose()


def alembic_config(connection: Connection) -> Config:
    """Return what Alembic's commands need; there is no alembic.ini.

    A new revision, after a change in `tables`, is begun with
    `command.revision(alembic_config(connection), "what changed", rev_id="0002", autogenerate=True)`.
    """
    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("file_template", "r%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


def _refuse_unknown(database: Database, connection: Connection, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    for revision in context.get_current_heads():
        if revision not in known:
            raise StateError(
                f"the state database {database.location} has schema revision {revision!r}, "
                f"and this ragwatch knows none newer than {max(known)!r}",
                hint=f"upgrade ragwatch, or start anew: {database.rebuild}",
            )
