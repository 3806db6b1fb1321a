"""Messages that wait to be sent, who is sending them, and what became of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError
from ragwatch.health.incident_json import notice_from_json
from ragwatch.health.incidents import Event
from ragwatch.ports.incidents import Message
from ragwatch.state.columns import decode_enum, decode_json, decode_time, decode_value, encode_json, to_utc
from ragwatch.state.database import Database, Row, Statements, Value

_COLUMNS = "id, collection, channel, thread, event, notice, created, due, state, attempts, error, settled, receipt"
_INSERT = """
INSERT INTO ragwatch_message
    (id, collection, channel, thread, event, notice, created, due, state, attempts, error, settled, receipt)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
_HEADS = """
SELECT message.number FROM (
    SELECT min(number) AS number FROM ragwatch_message
    WHERE collection = ? AND state = 'waiting' AND channel IN ({channels}) GROUP BY channel, thread
) AS head JOIN ragwatch_message AS message ON message.number = head.number
WHERE message.due <= ? AND (message.holder IS NULL OR message.holder = ? OR message.claimed <= ?)
ORDER BY message.number LIMIT ?
"""
_DEPTH = """
SELECT channel, state, count(*), min(created) FROM ragwatch_message WHERE collection = ? GROUP BY channel, state
"""
_CLAIM = """
UPDATE ragwatch_message SET holder = ?, claimed = ?
WHERE number = ? AND state = 'waiting' AND due <= ? AND (holder IS NULL OR holder = ? OR claimed <= ?)
"""
_SETTLE = """
UPDATE ragwatch_message SET state = ?, settled = ?, error = ?, receipt = ?, holder = NULL, claimed = NULL
WHERE id = ? AND holder = ? AND state = 'waiting'
"""
_POSTPONE = """
UPDATE ragwatch_message SET due = ?, error = ?, attempts = attempts + 1, holder = NULL, claimed = NULL
WHERE id = ? AND holder = ? AND state = 'waiting'
"""
_RETRY = """
UPDATE ragwatch_message SET state = 'waiting', due = ?, attempts = 0, settled = NULL
WHERE id = ? AND state = 'failed'
"""


class MessageQueue:
    """The methods of `Outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self, holder: str, now: datetime, seconds: float, collection: str, channels: Sequence[str], limit: int
    ) -> list[Message]:
        if not channels:
            return []
        until = to_utc(now) + timedelta(seconds=seconds)
        heads = _HEADS.format(channels=", ".join("?" * len(channels)))
        with self._database.writing() as statements:
            rows: list[Row] = []
            for (number,) in statements.query(heads, collection, *channels, now, holder, now, limit):
                # On PostgreSQL another may have been here since the rows were read: the update looks again.
                if statements.execute(_CLAIM, holder, until, number, now, holder, now):
                    rows += _numbered(statements, number)
            return [_message(row) for row in rows]

    def deliver(self, message: str, holder: str, now: datetime, receipt: Mapping[str, Json]) -> None:
        with self._database.writing() as statements:
            statements.execute(_SETTLE, "sent", now, "", encode_json(receipt), message, holder)

    def postpone(self, message: str, holder: str, due: datetime, error: str) -> None:
        with self._database.writing() as statements:
            statements.execute(_POSTPONE, due, error, message, holder)

    def give_up(self, message: str, holder: str, now: datetime, error: str) -> None:
        with self._database.writing() as statements:
            statements.execute(_SETTLE, "failed", now, error, None, message, holder)

    def messages(self, asked: Mapping[str, str | None], limit: int) -> list[Message]:
        given = {column: value for column, value in asked.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given)
        sql = (
            f"SELECT {_COLUMNS} FROM ragwatch_message"  # noqa: S608 - names of columns
            f"{f' WHERE {where}' if where else ''} ORDER BY number DESC LIMIT ?"
        )
        with self._database.reading() as statements:
            return [_message(row) for row in statements.query(sql, *given.values(), limit)]

    def depth(self, collection: str) -> dict[tuple[str, str], tuple[int, datetime | None]]:
        with self._database.reading() as statements:
            rows = statements.query(_DEPTH, collection)
            return {(channel, state): (count, decode_time(oldest)) for channel, state, count, oldest in rows}

    def retry(self, message: str, now: datetime) -> None:
        with self._database.writing() as statements:
            if statements.execute(_RETRY, now, message):
                return
            if not statements.query("SELECT 1 FROM ragwatch_message WHERE id = ?", message):
                raise NotFoundError(
                    f"the outbox has no message {message!r}", hint="ragwatch alerts outbox lists those it has"
                )


def queue(statements: Statements, messages: Sequence[Message]) -> None:
    """Add messages to the outbox; those whose id is known are passed over."""
    statements.execute_many(_INSERT, [_row(message) for message in messages])


def _row(message: Message) -> tuple[Value, ...]:
    return (
        message.id,
        message.collection,
        message.channel,
        message.thread,
        str(message.event),
        encode_json(message.notice.to_json()),
        message.created,
        message.due,
        message.state,
        message.attempts,
        message.error,
        message.sent,
        None if message.receipt is None else encode_json(message.receipt),
    )


def _numbered(statements: Statements, number: int) -> list[Row]:
    sql = f"SELECT {_COLUMNS} FROM ragwatch_message WHERE number = ?"  # noqa: S608 - names of columns
    return statements.query(sql, number)


def _message(row: Row) -> Message:
    id_, collection, channel, thread, event, notice, created, due, state, attempts, error, settled, receipt = row
    return Message(
        id=id_,
        collection=collection,
        channel=channel,
        thread=thread,
        event=decode_enum(Event, event),
        notice=decode_value(notice, notice_from_json),
        created=decode_time(created),
        due=decode_time(due),
        state=state,
        attempts=attempts,
        error=error,
        sent=decode_time(settled) if state == "sent" and settled is not None else None,
        receipt=None if receipt is None else decode_json(receipt),
    )
