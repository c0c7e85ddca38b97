"""A back end and its phones over HTTP, on a clock that the test moves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ringback.clock import ManualClock
from ringback.softphone import MemoryState, Phone, Unlock
from ringback.softphone.operations import OperationsOfPhone
from tests.journeys.phones import PIN
from tests.served import Answer, Served

OPERATIONS = "/powerauth-cloud/v2/operations"
TEMPLATES = "/api/v1/operation-templates"
MOBILE = "/api/auth/token/app/operation"
KNOWLEDGE = Unlock(pin=PIN)
BIOMETRY = Unlock(biometry=True)
WRONG = Unlock(pin="9999")


@dataclass
class Journey:
    """The server, its clock, and the bank."""

    served: Served
    clock: ManualClock

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(folder: Path, database_url: str, **settings: str) -> AsyncIterator[Journey]:
        """Without jobs: what expires, expires because somebody looks."""
        clock = ManualClock()
        async with Served.start(folder, database_url, clock=clock, worker=False, **settings) as served:
            yield Journey(served, clock)

    async def phone(self, user: str, *, version: str = "3.3", flags: Sequence[str] = ()) -> Phone:
        """An active phone; it and the server have the same time."""
        cloud = "/powerauth-cloud/v2/registrations"
        wanted = {"userId": user, "appId": "bank", "flags": list(flags)}
        made = (await self.served.call("POST", cloud, wanted)).body
        phone = Phone(MemoryState(), session=self.served.session, clock=self.clock)
        config, code = self.served.app["mobileSdkConfig"], made["activationQrCodeData"]
        await phone.activate(self.served.public, config, code, name="Phone", pin=PIN, version=version)
        committed = await self.served.call("POST", f"{cloud}/{made['registrationId']}/commit", {})
        assert committed.status == 200, committed
        return phone

    async def ask(self, **fields: Any) -> dict[str, Any]:
        """A new operation; later ones have later ids."""
        self.clock.advance(0.001)
        made = await self.served.call("POST", OPERATIONS, {"template": "login", **fields})
        assert made.status == 200, made
        operation: dict[str, Any] = made.body
        return operation

    async def look(self, operation_id: str) -> dict[str, Any]:
        """What the back end sees."""
        found = await self.served.call("GET", f"{OPERATIONS}/{operation_id}")
        assert found.status == 200, found
        operation: dict[str, Any] = found.body
        return operation

    async def admin(self, method: str, path: str, body: Any = None) -> Answer:
        """The native API of templates."""
        return await self.served.call(method, f"{TEMPLATES}{path}", body, auth=self.served.admin)

    async def shown(self, phone: Phone, path: str = "list", body: Any = None, language: str = "en") -> Answer:
        """A request with the phone's MAC token, and the answer to the letter."""
        request = await phone._token_request(f"{MOBILE}/{path}", body or {})
        headers = {**request.headers, "Accept-Language": language, "Content-Type": "application/json"}
        return await self.served._send(
            "POST", f"{self.served.public}/enrollment-server{request.path}", None, None,
            {"data": request.body, "headers": headers},
        )  # fmt: skip


async def approve(phone: OperationsOfPhone, operation: dict[str, Any], unlock: Unlock, check: Any = None) -> None:
    """Approves with whatever proximity check the test wants to send."""
    content = {"id": operation["operationId"], "data": operation["data"]}
    if check is not None:
        content["proximityCheck"] = check
    body = msgspec.json.encode({"requestObject": content})
    await phone._send_signed(unlock, f"{MOBILE}/authorize", "/operation/authorize", body, Any)
