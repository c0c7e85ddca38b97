"""What Alembic runs, called by `ringback.store.migrate`.

SQLite is migrated over a connection. For PostgreSQL the migration is written out as SQL, which asyncpg executes: no
second driver is needed. So migrations are operations and SQL texts; they never read rows in Python.
"""

from __future__ import annotations

from alembic import context

from ringback.store.schema import metadata

if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        target_metadata=metadata,
        literal_binds=True,
        # The caller opens and commits the transaction.
        transactional_ddl=False,
    )
    context.run_migrations()
else:
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
