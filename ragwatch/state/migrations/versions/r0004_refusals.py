"""Quarantine: which texts were refused, how often they were tried, and when they are tried again."""

import sqlalchemy as sa
from alembic import op
from sqlmodel import AutoString

revision = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    with op.batch_alter_table("ragwatch_quarantine") as table:
        table.add_column(sa.Column("texts", AutoString(), nullable=False, server_default="[]"))
        table.add_column(sa.Column("attempts", sa.Integer(), nullable=False, server_default="1"))
        table.add_column(sa.Column("next_try", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("ragwatch_quarantine") as table:
        for name in ("next_try", "attempts", "texts"):
            table.drop_column(name)
