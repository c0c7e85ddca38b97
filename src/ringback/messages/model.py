"""What there is to tell a user."""

from __future__ import annotations

import msgspec


class Notice(msgspec.Struct, frozen=True):
    """One thing to tell a user.

    `app_ids`: the apps whose phones hear it; `registration_id`: only this phone. `extras` is for the app, not for the
    reader. After `deadline_ms` nobody need hear it any more.
    """

    user_id: str
    app_ids: tuple[str, ...]
    title: str
    message: str
    extras: dict[str, str] = {}
    sound: str | None = None
    registration_id: str | None = None
    operation_id: str | None = None
    deadline_ms: int | None = None
