"""Who is acting: decided by a guard, carried into the units of work, written into the audit log."""

from __future__ import annotations

from typing import Literal

import msgspec

PrincipalKind = Literal["system_user", "user", "device", "cli", "job"]


class Principal(msgspec.Struct, frozen=True):
    """Whoever uses our API.

    `name`: the system user's name, the user's id, the registration's id, the operating system's user, or the job's
    name. `role`: `admin`, `integration` or `sip-proxy` for a system user, `user` for a user (a person), `none` for the
    others.
    """

    kind: PrincipalKind
    name: str
    role: Literal["admin", "integration", "sip-proxy", "user", "none"] = "none"


def end_user(user_id: str) -> Principal:
    """A person that proved who it is."""
    return Principal("user", user_id, "user")


def device(registration_id: str) -> Principal:
    """A phone that proved that it holds its keys."""
    return Principal("device", registration_id)


def job(name: str) -> Principal:
    """Something that the server does on its own, such as letting operations expire."""
    return Principal("job", name)
