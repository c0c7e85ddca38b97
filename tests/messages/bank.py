"""A back end that tells people things, and their phones, over HTTP, on a clock that the test moves."""

from __future__ import annotations

from typing import Any

from ringback.push import TokenOwner
from ringback.softphone import Phone
from ringback.store import Tx
from tests.operations.journey import Journey
from tests.served import Answer, Login

SEND = "/powerauth-cloud/v2/messages/send"
INBOX = "/powerauth-cloud/v2/inbox/messages"
MESSAGES = "/api/v1/messages"
PUSHES = "/api/v1/pushes"
SHORT = {"title": "Balance Update", "message": "Look at it."}


class Bank(Journey):
    """Short words for the requests of the communication services."""

    async def post(self, path: str, *, auth: Login | None = None, **body: Any) -> Answer:
        """A request; later ones have later ids."""
        self.clock.advance(0.001)
        return await self.served.call("POST", path, body, auth=auth)

    async def get(self, path: str, *, auth: Login | None = None) -> Answer:
        """What the back end reads."""
        return await self.served.call("GET", path, auth=auth)

    async def with_local(self, user: str, language: str | None = None) -> Phone:
        """A phone that keeps a stream open; its push token may say a language."""
        phone = await self.phone(user)
        await phone.register_push()
        if language is not None:
            await self.register(user, phone, "local", language)
        return phone

    async def register(self, user: str, phone: Phone, kind: str, language: str | None = None) -> None:
        """A push token of any kind, as its provider would name it."""
        activation = phone.state.activation_id or ""
        owner = TokenOwner("bank", user, registration_id=activation)
        name = activation if kind == "local" else f"{kind}-push-token-of-{activation}"

        async def tell(tx: Tx) -> None:
            await self.served.rooms.push.tokens.register(tx, owner, kind, name, language=language)

        await self.served.installation.store.write(tell)

    async def trace(self, push_id: str, auth: Login | None = None) -> dict[str, Any]:
        """GET /api/v1/pushes/{id}."""
        found = await self.get(f"{PUSHES}/{push_id}", auth=auth)
        assert found.status == 200, found
        body: dict[str, Any] = found.body
        return body
