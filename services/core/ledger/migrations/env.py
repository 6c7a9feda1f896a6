"""What Alembic runs: the migrations, in the transaction that ``upgrade`` has opened."""

from __future__ import annotations

from alembic import context

from services.core.ledger.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
