"""Incidents and what happened to them, written together with the messages that tell of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from ragwatch.corpus.identity import Json
from ragwatch.errors import OvertakenError
from ragwatch.health.incident_json import incident_from_json
from ragwatch.health.incidents import Event, Incident, Phase, Transition
from ragwatch.ports.incidents import Message
from ragwatch.state.columns import decode_enum, decode_json, decode_time, decode_value, encode_json
from ragwatch.state.database import Database, Row, Statements, Value
from ragwatch.state.notes import put_note
from ragwatch.state.outbox import queue

_INSERT = """
INSERT INTO ragwatch_incident (id, collection, phase, resolved, version, body) VALUES (?, ?, ?, ?, 1, ?)
ON CONFLICT (id) DO NOTHING
"""
_REPLACE = """
UPDATE ragwatch_incident SET collection = ?, phase = ?, resolved = ?, version = ?, body = ? WHERE id = ? AND version = ?
"""
_FORGET = "DELETE FROM ragwatch_incident WHERE id = ? AND version = ?"
_TRANSITION = "INSERT INTO ragwatch_transition (collection, subject, at, event, facts) VALUES (?, ?, ?, ?, ?)"

NoteWrite = tuple[str, str, Mapping[str, Json], int]


class IncidentRecords:
    """The methods of `IncidentLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def incident(self, prefix: str) -> Incident | None:
        with self._database.reading() as statements:
            rows = statements.query("SELECT body FROM ragwatch_incident WHERE id = ?", prefix) or statements.query(
                "SELECT body FROM ragwatch_incident WHERE substr(id, 1, ?) = ? LIMIT 2", len(prefix), prefix
            )
            return _incident(rows[0]) if len(rows) == 1 else None

    def incidents(self, collection: str | None, ended: bool, since: datetime | None) -> list[Incident]:
        with self._database.reading() as statements:
            rows = [row for phase in (Phase.SUSPECTED, Phase.OPEN) for row in _of(statements, phase, collection, None)]
            if ended:
                rows += _of(statements, Phase.RESOLVED, collection, since)
            found = sorted(map(_incident, rows), key=lambda incident: incident.id)
        return sorted(found, key=lambda incident: incident.first_seen, reverse=True)

    def commit(
        self,
        changed: Sequence[Incident],
        transitions: Sequence[Transition],
        messages: Sequence[Message],
        forgotten: Sequence[Incident],
        notes: Sequence[NoteWrite],
        now: datetime,
    ) -> None:
        # Every writer locks in the same order, so that two of them wait for each other and never both.
        steps = [(incident, True) for incident in changed] + [(incident, False) for incident in forgotten]
        with self._database.writing() as statements:
            for kind, key, value, expected in sorted(notes, key=lambda note: note[:2]):
                put_note(statements, kind, key, value, now, expected)
            for incident, keep in sorted(steps, key=lambda step: step[0].id):
                if not (_write(statements, incident) if keep else _remove(statements, incident)):
                    raise OvertakenError(
                        f"another process changed the incident {incident.id!r} in the meantime",
                        hint="run the same command again",
                    )
            rows = [
                (one.collection, one.subject, one.at, str(one.event), encode_json(one.facts)) for one in transitions
            ]
            statements.execute_many(_TRANSITION, rows)
            queue(statements, messages)

    def transitions(self, collection: str | None, subject: str | None, limit: int) -> list[Transition]:
        asked = {"collection": collection, "subject": subject}
        given = {column: value for column, value in asked.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given)
        sql = (
            "SELECT collection, subject, at, event, facts FROM ragwatch_transition"  # noqa: S608 - names of columns
            f"{f' WHERE {where}' if where else ''} ORDER BY at DESC, number DESC LIMIT ?"
        )
        with self._database.reading() as statements:
            return [_transition(row) for row in statements.query(sql, *given.values(), limit)]


def _of(statements: Statements, phase: Phase, collection: str | None, since: datetime | None) -> list[Row]:
    sql, values = "SELECT body FROM ragwatch_incident WHERE phase = ?", list[Value]([str(phase)])
    if collection is not None:
        sql, values = f"{sql} AND collection = ?", [*values, collection]
    if since is not None:
        sql, values = f"{sql} AND resolved >= ?", [*values, since]
    return statements.query(sql, *values)


def _write(statements: Statements, incident: Incident) -> int:
    columns = (incident.collection, str(incident.phase), incident.resolved)
    body = encode_json(incident.to_json())
    if incident.version == 1:
        return statements.execute(_INSERT, incident.id, *columns, body)
    return statements.execute(_REPLACE, *columns, incident.version, body, incident.id, incident.version - 1)


def _remove(statements: Statements, incident: Incident) -> int:
    return statements.execute(_FORGET, incident.id, incident.version)


def _incident(row: Row) -> Incident:
    return decode_value(row[0], incident_from_json)


def _transition(row: Row) -> Transition:
    collection, subject, at, event, facts = row
    return Transition(collection, subject, decode_enum(Event, event), decode_time(at), decode_json(facts))
