"""The schema. A change here needs a new file in `migrations/versions`; a test compares the two.

Every table is prefixed, so that the tables may live beside others in a PostgreSQL database. Texts are stored
as `columns.encode_text` writes them; JSON is text, since no query looks into it.
"""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData
from sqlmodel import Field, Index, SQLModel

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
"""Constraints need names, or SQLite's batch migrations cannot drop them."""


class StateTable(SQLModel):
    """Base of all tables; keeps them apart from the models of a program that imports ragwatch."""

    metadata = MetaData(naming_convention=NAMING)


class DocumentTable(StateTable, table=True):
    """`CachedDocument` by source and document id."""

    __tablename__: ClassVar[str] = "ragwatch_document"
    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_with_rowid": False}

    source: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    stamp: str
    spec: str
    digest: str
    revision: str
    findings: str
    """JSON list."""


class RunTable(StateTable, table=True):
    """`RunRecord`; ids begin with the time of the start, so their order is the order of time."""

    __tablename__: ClassVar[str] = "ragwatch_run"
    __table_args__: ClassVar[tuple[Index, ...]] = (
        Index(None, "collection", "id"),
        Index(None, "collection", "verb", "id"),
        Index(None, "collection", "finished", "id"),
    )

    id: str = Field(primary_key=True)
    verb: str
    collection: str
    started: datetime = Field(sa_type=DateTime(timezone=True))
    finished: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    outcome: str
    summary: str
    """JSON object."""
    findings: int = 0
    """How many findings were recorded; the position of the next one."""


class FindingTable(StateTable, table=True):
    """One finding of one run, by its position in the order of recording."""

    __tablename__: ClassVar[str] = "ragwatch_finding"
    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_with_rowid": False}

    run: str = Field(primary_key=True, foreign_key="ragwatch_run.id", ondelete="CASCADE")
    position: int = Field(primary_key=True)
    body: str
    """JSON object."""


class PlanTable(StateTable, table=True):
    """A plan by its digest."""

    __tablename__: ClassVar[str] = "ragwatch_plan"
    __table_args__: ClassVar[tuple[Index, ...]] = (Index(None, "collection", "saved"),)

    digest: str = Field(primary_key=True)
    collection: str
    saved: datetime = Field(sa_type=DateTime(timezone=True))
    body: str
    """JSON object."""


class QuarantineTable(StateTable, table=True):
    """`Quarantined` by collection and document key."""

    __tablename__: ClassVar[str] = "ragwatch_quarantine"

    collection: str = Field(primary_key=True)
    document: str = Field(primary_key=True)
    revision: str
    reason: str
    since: datetime = Field(sa_type=DateTime(timezone=True))
    texts: str = Field(default="[]", sa_column_kwargs={"server_default": "[]"})
    """JSON list of digests."""
    attempts: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    next_try: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class LeaseTable(StateTable, table=True):
    """`Lease` by collection. A lease given back keeps its row without a holder, so tokens never repeat."""

    __tablename__: ClassVar[str] = "ragwatch_lease"

    collection: str = Field(primary_key=True)
    holder: str | None = None
    token: int = Field(sa_type=BigInteger)
    expires: datetime = Field(sa_type=DateTime(timezone=True))


class NoteTable(StateTable, table=True):
    """`Note` by kind and key."""

    __tablename__: ClassVar[str] = "ragwatch_note"

    kind: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    version: int = Field(sa_type=BigInteger)
    written: datetime = Field(sa_type=DateTime(timezone=True))
    body: str
    """JSON object."""


class IncidentTable(StateTable, table=True):
    """`Incident` by id; the columns beside the body are those that are asked for."""

    __tablename__: ClassVar[str] = "ragwatch_incident"
    __table_args__: ClassVar[tuple[Index, ...]] = (
        Index(None, "phase", "collection"),
        Index(None, "phase", "resolved"),
    )

    id: str = Field(primary_key=True)
    collection: str
    phase: str
    resolved: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    version: int = Field(sa_type=BigInteger)
    body: str
    """JSON object."""


_Number = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only where the type says INTEGER."""


class TransitionTable(StateTable, table=True):
    """`Transition` in the order of writing."""

    __tablename__: ClassVar[str] = "ragwatch_transition"
    __table_args__: ClassVar[tuple[Index, ...]] = (
        Index(None, "at", "number"),
        Index(None, "collection", "at", "number"),
        Index(None, "subject", "at", "number"),
    )

    number: int | None = Field(default=None, sa_column=Column(_Number, primary_key=True))
    collection: str
    subject: str
    at: datetime = Field(sa_type=DateTime(timezone=True))
    event: str
    facts: str
    """JSON object."""


class MessageTable(StateTable, table=True):
    """`Message` in the order of queueing, and who is sending it until when."""

    __tablename__: ClassVar[str] = "ragwatch_message"
    __table_args__: ClassVar[tuple[Index, ...]] = (
        Index(None, "collection", "state", "channel", "thread", "number"),
        Index(None, "collection", "channel", "state", "created"),
        Index(None, "thread", "number"),
        Index(None, "collection", "number"),
        Index(None, "state", "settled"),
    )

    number: int | None = Field(default=None, sa_column=Column(_Number, primary_key=True))
    id: str = Field(unique=True)
    collection: str
    channel: str
    thread: str
    event: str
    created: datetime = Field(sa_type=DateTime(timezone=True))
    due: datetime = Field(sa_type=DateTime(timezone=True))
    state: str
    attempts: int
    error: str
    settled: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """When it was sent or given up."""
    receipt: str | None = None
    """JSON object."""
    holder: str | None = None
    claimed: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """Until when it is the holder's."""
    notice: str
    """JSON object."""


class LagTable(StateTable, table=True):
    """`Lag` by document and the time when it was seen."""

    __tablename__: ClassVar[str] = "ragwatch_lag"
    __table_args__: ClassVar[tuple[Index, ...]] = (Index(None, "collection", "visible"),)

    collection: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    document: str = Field(primary_key=True)
    seen: datetime = Field(primary_key=True, sa_type=DateTime(timezone=True))
    change: str
    agreed: datetime = Field(sa_type=DateTime(timezone=True))
    """`Lag.after`."""
    visible: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
