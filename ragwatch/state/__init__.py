"""History and caches in SQL. Rows never leave this package.

`tables` is the schema (SQLModel) and `migrations` its history (Alembic); both are imported only when a database
has to be created or upgraded. Reading and writing goes through the drivers (`sqlite3`, `psycopg`), which
makes opening a current database a matter of milliseconds and bulk reads ten times cheaper than through an ORM.
"""

from ragwatch.ports.incidents import Ledger


def open_state(url: str, *, process: str = "", reading: bool = False) -> Ledger:
    """Open the database at `url`, created or upgraded to the current schema first if needed.

    `process` is who starts runs, where that is to be kept of them while they are under way. With `reading`, a file that
    cannot be written is opened too; writes to it raise `StateReadOnlyError`.

    `url` is `sqlite:///PATH` (`sqlite:////ABSOLUTE/PATH`) or `postgresql://…` as libpq reads it, also spelt
    `postgres://` or `postgresql+psycopg://`. Missing folders are created. Raises `ConfigError` for any other
    URL, `MissingExtraError` where the driver is not installed, `StateError` and `UnreachableError` as every
    method of `Ledger` does.
    """
    from ragwatch.state.sql_state import SqlState

    return SqlState(url, process=process, reading=reading)
