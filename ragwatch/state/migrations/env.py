"""Run by Alembic inside the transaction that `ragwatch.state.upgrade` has opened."""

from alembic import context

from ragwatch.state.database import VERSION_TABLE
from ragwatch.state.tables import StateTable


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    """Tables of other programs in the same database are none of our business."""
    return kind != "table" or name in StateTable.metadata.tables


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=StateTable.metadata,
    version_table=VERSION_TABLE,
    include_name=_ours,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
