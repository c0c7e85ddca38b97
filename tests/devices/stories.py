"""What the journeys of activations share: a back end's requests, and phones in software over real HTTP."""

from __future__ import annotations

from typing import Any

from ringback.softphone import MemoryState, Phone, Unlock
from ringback.store import Query, Tx
from tests.served import Answer, Login, Served

REGISTRATIONS = "/powerauth-cloud/v2/registrations"
PIN = Unlock(pin="1234")
_audited = Query("audited", "Test.", "SELECT action FROM audit_log WHERE subject_id = $1 ORDER BY id")


async def configure(served: Served, key: str, values: Any, app_id: str = "bank") -> None:
    """Sets one key of an app's configuration."""
    path = f"/powerauth-cloud/admin/applications/{app_id}/config"
    answer = await served.call("POST", path, {"key": key, "values": values}, auth=served.admin)
    assert answer.status == 200, answer.body


async def create(served: Served, user_id: str = "jan", **fields: Any) -> dict[str, Any]:
    """A new registration, as the back end is told about it."""
    answer = await served.call("POST", REGISTRATIONS, {"userId": user_id, "appId": "bank", **fields})
    assert answer.status == 200, answer.body
    created: dict[str, Any] = answer.body
    return created


async def detail(served: Served, registration_id: str, auth: Login | None = None) -> dict[str, Any]:
    """What the back end sees of a registration."""
    shown: dict[str, Any] = (await served.call("GET", f"{REGISTRATIONS}/{registration_id}", auth=auth)).body
    return shown


async def status(served: Served, registration_id: str, auth: Login | None = None) -> str:
    """Its status."""
    return str((await detail(served, registration_id, auth))["registrationStatus"])


async def commit(served: Served, registration_id: str, body: dict[str, Any] | None = None) -> Answer:
    """The back end commits."""
    return await served.call("POST", f"{REGISTRATIONS}/{registration_id}/commit", body)


def new_phone(served: Served) -> Phone:
    """A phone that is not activated yet."""
    return Phone(MemoryState(), session=served.session)


def activation(served: Served, **more: Any) -> dict[str, Any]:
    """The arguments of Phone.activate that are always the same."""
    return {
        "server_url": served.public,
        "sdk_config": served.app["mobileSdkConfig"],
        "name": "Phone",
        "pin": "1234",
        **more,
    }


async def active_phone(served: Served, user_id: str = "jan", **more: Any) -> Phone:
    """A phone that was activated by a code and needs no commit."""
    created = await create(served, user_id, commitPhase="ON_KEY_EXCHANGE")
    phone = new_phone(served)
    await phone.activate(code=created["activationCode"], **activation(served, **more))
    return phone


async def audited(served: Served, subject_id: str) -> list[str]:
    """The actions in the audit log about something, oldest first."""

    async def read(tx: Tx) -> list[str]:
        return [action for (action,) in await tx.all(_audited, subject_id)]

    return await served.installation.store.read(read)
