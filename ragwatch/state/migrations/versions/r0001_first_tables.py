"""First tables."""

import sqlalchemy as sa
from alembic import op
from sqlmodel import AutoString

revision = "0001"
down_revision: str | None = None

_Text = AutoString


def upgrade() -> None:
    op.create_table(
        "ragwatch_document",
        sa.Column("source", _Text(), nullable=False),
        sa.Column("id", _Text(), nullable=False),
        sa.Column("stamp", _Text(), nullable=False),
        sa.Column("spec", _Text(), nullable=False),
        sa.Column("digest", _Text(), nullable=False),
        sa.Column("revision", _Text(), nullable=False),
        sa.Column("findings", _Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "id", name="pk_ragwatch_document"),
        sqlite_with_rowid=False,
    )
    _create_history()
    op.create_table(
        "ragwatch_quarantine",
        sa.Column("collection", _Text(), nullable=False),
        sa.Column("document", _Text(), nullable=False),
        sa.Column("revision", _Text(), nullable=False),
        sa.Column("reason", _Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("collection", "document", name="pk_ragwatch_quarantine"),
    )
    op.create_table(
        "ragwatch_lease",
        sa.Column("collection", _Text(), nullable=False),
        sa.Column("holder", _Text(), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("collection", name="pk_ragwatch_lease"),
    )


def _create_history() -> None:
    op.create_table(
        "ragwatch_run",
        sa.Column("id", _Text(), nullable=False),
        sa.Column("verb", _Text(), nullable=False),
        sa.Column("collection", _Text(), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", _Text(), nullable=False),
        sa.Column("summary", _Text(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ragwatch_run"),
    )
    op.create_index("ix_ragwatch_run_collection_id", "ragwatch_run", ["collection", "id"])
    op.create_index("ix_ragwatch_run_collection_verb_id", "ragwatch_run", ["collection", "verb", "id"])
    op.create_table(
        "ragwatch_finding",
        sa.Column("run", _Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("body", _Text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["ragwatch_run.id"], name="fk_ragwatch_finding_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "position", name="pk_ragwatch_finding"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ragwatch_plan",
        sa.Column("digest", _Text(), nullable=False),
        sa.Column("collection", _Text(), nullable=False),
        sa.Column("saved", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", _Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_ragwatch_plan"),
    )
    op.create_index("ix_ragwatch_plan_collection_saved", "ragwatch_plan", ["collection", "saved"])


def downgrade() -> None:
    for table in ("lease", "quarantine", "plan", "finding", "run", "document"):
        op.drop_table(f"ragwatch_{table}")
