"""The same servers as in the journeys."""

from __future__ import annotations

from tests.journeys.conftest import new_server, postgres_url

__all__ = ["new_server", "postgres_url"]
