"""A person's app at the UDS addresses: HTTP Basic and XML."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from xml.sax.saxutils import escape

from tests.contract.xml import refusal, texts
from tests.served import Login, Served

KEY = bytes(range(32))
APNS_TOKEN = "0123456789abcdef" * 4
PASSWORD = "correct horse battery"
PKID = "bd176b00-808e-8940-8d29-316e3f9443ba"
FIRST = {
    "pushNotifyToken": APNS_TOKEN,
    "pushChannelType": "APNS",
    "key": base64.b64encode(KEY).decode(),
    "algorithm": "A256GCM",
    "application": "bank",
    "payloadVersion": "V2",
}


@dataclass(frozen=True)
class UdsAnswer:
    """Status, body and header fields."""

    status: int
    content: bytes
    headers: dict[str, str]

    @property
    def token(self) -> dict[str, str]:
        """The elements of a `<token>`."""
        return texts(self.content, "token")

    @property
    def refusal(self) -> tuple[int, str | None]:
        """The status, and the field that is to blame."""
        return self.status, refusal(self.content).get("field")


@dataclass(frozen=True)
class Person:
    """A user of the directory with an app."""

    served: Served
    login: Login

    @staticmethod
    async def create(served: Served, user_id: str) -> Person:
        body = {"userId": user_id, "password": PASSWORD}
        assert (await served.call("POST", "/api/v1/users", body, auth=served.admin)).status == 201
        return Person(served, Login(user_id, PASSWORD))

    async def ask(
        self, method: str, pkid: str = PKID, body: bytes | None = None, user_id: str | None = None, **headers: str
    ) -> UdsAnswer:
        """One request; header fields with underscores for hyphens."""
        fields = {"Authorization": self.login.header}
        if body is not None:
            fields["Content-Type"] = "application/xml"
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.served.public}/cucm-uds/user/{user_id or self.login.login}/device/{pkid}/devicetoken"
        async with self.served.session.request(method, url, data=body, headers=fields) as answer:
            return UdsAnswer(answer.status, await answer.read(), dict(answer.headers))

    async def put(self, fields: dict[str, str], pkid: str = PKID, **headers: str) -> UdsAnswer:
        return await self.ask("PUT", pkid, token(fields), **headers)


def token(fields: dict[str, str]) -> bytes:
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields.items())
    return f"<token>{inner}</token>".encode()
