"""What the last reading of each document gave."""

from collections.abc import Iterable, Sequence
from itertools import islice

from ragwatch.ports import CachedDocument
from ragwatch.state.columns import decode_json, encode_json
from ragwatch.state.database import Database

BATCH = 1000
"""Documents per transaction: bounds memory, and how long other writers wait."""

IDS = 500
"""Ids per statement. Older SQLite takes 999 values in all."""

_REMEMBER = """
INSERT INTO ragwatch_document (source, id, stamp, spec, digest, revision, findings) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, id) DO UPDATE SET
    stamp = excluded.stamp, spec = excluded.spec, digest = excluded.digest,
    revision = excluded.revision, findings = excluded.findings
"""
_NO_FINDINGS = "[]"


class DocumentCache:
    """The methods of `State` about cached documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def cached(self, source: str, ids: Sequence[str]) -> dict[str, CachedDocument]:
        found: dict[str, CachedDocument] = {}
        with self._database.reading() as statements:
            for start in range(0, len(ids), IDS):
                wanted = ids[start : start + IDS]
                rows = statements.query(
                    "SELECT id, stamp, spec, digest, revision, findings FROM ragwatch_document"  # noqa: S608 - markers
                    f" WHERE source = ? AND id IN ({_markers(len(wanted))})",
                    source,
                    *wanted,
                )
                for id_, stamp, spec, digest, revision, findings in rows:
                    kept = () if findings == _NO_FINDINGS else tuple(decode_json(findings))
                    found[id_] = CachedDocument(source, id_, stamp, spec, digest, revision, kept)
        return found

    def remember(self, documents: Iterable[CachedDocument]) -> None:
        stream = iter(documents)
        while batch := list(islice(stream, BATCH)):
            # One row per document, in key order: two writers then lock in the same order and cannot deadlock.
            rows = {(document.source, document.id): _row(document) for document in batch}
            with self._database.writing() as statements:
                statements.execute_many(_REMEMBER, [rows[key] for key in sorted(rows)])

    def forget(self, source: str, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), BATCH):
            with self._database.writing() as statements:
                wanted = sorted(ids[start : start + BATCH])
                statements.execute_many(
                    "DELETE FROM ragwatch_document WHERE source = ? AND id = ?", [(source, id_) for id_ in wanted]
                )


def _markers(count: int) -> str:
    return ", ".join("?" * count)


def _row(document: CachedDocument) -> tuple[str, ...]:
    return (
        document.source,
        document.id,
        document.stamp,
        document.spec,
        document.digest,
        document.revision,
        encode_json(document.findings) if document.findings else _NO_FINDINGS,
    )
