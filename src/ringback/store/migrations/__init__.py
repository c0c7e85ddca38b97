"""Alembic's scripts. `ringback.store.migrate` runs them; there is no ini file."""
