"""Where the database is, as the settings say it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from ringback.errors import StartRefused

DATABASE_FILE = "ringback.db"


class SqliteLocation(msgspec.Struct, frozen=True):
    """A file."""

    path: Path


class PostgresLocation(msgspec.Struct, frozen=True):
    """A server and a database: `postgresql://user:password@host:port/database`."""

    url: str

    @property
    def server(self) -> str:
        """Where the server is, as the URL says it, without user and password."""
        return urlsplit(self.url).netloc.rpartition("@")[2] or "its usual place on this machine"

    def __repr__(self) -> str:
        return "PostgresLocation(url not shown: it may hold a password)"


Location = SqliteLocation | PostgresLocation


def locate(database_url: str | None, data_dir: Path) -> Location:
    """The database that the settings mean: without a URL, the file `ringback.db` in the data folder."""
    if database_url is None or database_url == "":
        return SqliteLocation(data_dir / DATABASE_FILE)
    scheme, separator, rest = database_url.partition("://")
    if separator and scheme in {"postgresql", "postgres"}:
        return PostgresLocation(f"postgresql://{rest}")
    if separator and scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        # sqlite:///relative and sqlite:////absolute, as everywhere else
        return SqliteLocation(Path(rest[1:]))
    raise StartRefused(
        f"The database URL starts with {scheme + separator!r}. Use postgresql://user:password@host/database or"
        " sqlite:///path, or leave it out for a file in the data folder.",
    )
