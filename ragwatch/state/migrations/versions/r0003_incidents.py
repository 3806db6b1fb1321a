"""Incidents, transitions, messages, lags."""

import sqlalchemy as sa
from alembic import op
from sqlmodel import AutoString

revision = "0003"
down_revision: str | None = "0002"

_Text = AutoString
_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    name = "ix_ragwatch_run_collection_finished_id"
    op.create_index(name, "ragwatch_run", ["collection", "finished", "id"])
    _create_incidents()
    _create_messages()
    op.create_table(
        "ragwatch_lag",
        sa.Column("collection", _Text(), nullable=False),
        sa.Column("source", _Text(), nullable=False),
        sa.Column("document", _Text(), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("change", _Text(), nullable=False),
        sa.Column("agreed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("visible", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("collection", "source", "document", "seen", name="pk_ragwatch_lag"),
    )
    op.create_index("ix_ragwatch_lag_collection_visible", "ragwatch_lag", ["collection", "visible"])


def _create_incidents() -> None:
    op.create_table(
        "ragwatch_incident",
        sa.Column("id", _Text(), nullable=False),
        sa.Column("collection", _Text(), nullable=False),
        sa.Column("phase", _Text(), nullable=False),
        sa.Column("resolved", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("body", _Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ragwatch_incident"),
    )
    op.create_index("ix_ragwatch_incident_phase_collection", "ragwatch_incident", ["phase", "collection"])
    op.create_index("ix_ragwatch_incident_phase_resolved", "ragwatch_incident", ["phase", "resolved"])
    op.create_table(
        "ragwatch_transition",
        sa.Column("number", _Number, nullable=False),
        sa.Column("collection", _Text(), nullable=False),
        sa.Column("subject", _Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", _Text(), nullable=False),
        sa.Column("facts", _Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_ragwatch_transition"),
    )
    op.create_index("ix_ragwatch_transition_at_number", "ragwatch_transition", ["at", "number"])
    for column in ("collection", "subject"):
        name = f"ix_ragwatch_transition_{column}_at_number"
        op.create_index(name, "ragwatch_transition", [column, "at", "number"])


def _create_messages() -> None:
    op.create_table(
        "ragwatch_message",
        sa.Column("number", _Number, nullable=False),
        sa.Column("id", _Text(), nullable=False),
        sa.Column("collection", _Text(), nullable=False),
        sa.Column("channel", _Text(), nullable=False),
        sa.Column("thread", _Text(), nullable=False),
        sa.Column("event", _Text(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", _Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", _Text(), nullable=False),
        sa.Column("settled", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt", _Text(), nullable=True),
        sa.Column("holder", _Text(), nullable=True),
        sa.Column("claimed", sa.DateTime(timezone=True), nullable=True),
        sa.Column("notice", _Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_ragwatch_message"),
        sa.UniqueConstraint("id", name="uq_ragwatch_message_id"),
    )
    for columns in (
        ["collection", "state", "channel", "thread", "number"],
        ["collection", "channel", "state", "created"],
        ["thread", "number"],
        ["collection", "number"],
        ["state", "settled"],
    ):
        op.create_index("_".join(["ix_ragwatch_message", *columns]), "ragwatch_message", columns)


def downgrade() -> None:
    op.drop_index("ix_ragwatch_run_collection_finished_id", "ragwatch_run")
    for table in ("lag", "message", "transition", "incident"):
        op.drop_table(f"ragwatch_{table}")
