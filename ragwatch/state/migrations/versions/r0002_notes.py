"""Notes."""

import sqlalchemy as sa
from alembic import op
from sqlmodel import AutoString

revision = "0002"
down_revision: str | None = "0001"

_Text = AutoString


def upgrade() -> None:
    op.create_table(
        "ragwatch_note",
        sa.Column("kind", _Text(), nullable=False),
        sa.Column("key", _Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("written", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", _Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name="pk_ragwatch_note"),
    )


def downgrade() -> None:
    op.drop_table("ragwatch_note")
