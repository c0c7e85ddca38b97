"""A server in embedded mode, and phones that do exactly what a test says: REGISTER and INVITE over UDP, with a digest.

The phones know nothing of our own code: their digests are made with hashlib.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.calls.peer import Message, Peer, write
from tests.calls.scene import BUNDLE, BY, DOMAIN, Scene

PASSWORD = "secret"
_numbers = itertools.count(1)


@dataclass
class EmbeddedScene:
    """What runs, and who may use it."""

    scene: Scene

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(folder: Path, database_url: str, **settings: Any) -> AsyncIterator[EmbeddedScene]:
        """Registrar and redirect server of example.com; nobody is trusted unless `sip_proxies` says so."""
        said = {"sip_mode": "embedded", "sip_proxies": "", **settings}
        async with Scene.start(folder, database_url, **said) as scene:
            yield EmbeddedScene(scene)

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return self.scene.address

    @property
    def place(self) -> tuple[str, int]:
        """The same in parts."""
        host, _, port = self.address.partition(":")
        return host, int(port)

    async def account(self, name: str, *, phones: int = 0, **preferences: Any) -> list[str]:
        """A subscriber with a password; `phones`: which can be pushed, by other ways than RFC 8599."""
        tokens = await self.scene.subscriber(name, phones=phones, **preferences)
        served = self.scene.served
        credentials = served.rooms.sip_directory.credentials
        await served.installation.store.write(credentials.set_password, BY, DOMAIN, name, PASSWORD, None)
        return tokens

    @contextlib.asynccontextmanager
    async def phone(self, name: str, password: str = PASSWORD) -> AsyncIterator[ScriptedPhone]:
        """A phone of a subscriber."""
        async with Peer.start() as peer:
            yield ScriptedPhone(peer, self.place, name, password)

    def pn(self, prid: str = "ab" * 32, service: str = ".voip") -> str:
        """Parameters of RFC 8599 that match the credential of the app `bank`."""
        return f";pn-provider=apns;pn-param={self.scene.apns.key.team_id}.{BUNDLE}{service};pn-prid={prid}"


class Call:
    """An INVITE that was sent."""

    def __init__(self, phone: ScriptedPhone, request: bytes, fields: dict[str, str], uri: str) -> None:
        self.phone = phone
        self.request = request
        self.fields = fields
        self.uri = uri

    @property
    def call_id(self) -> str:
        """Its Call-ID."""
        return self.fields["Call-ID"]

    async def answer(self, status: int) -> Message:
        """The answer with this status; a final one is acknowledged."""
        message = await self.phone.peer.expect(lambda m: m.status == status and m.get("Call-ID") == self.call_id)
        if status >= 300:
            self._follow("ACK", message.get("To"))
        return message

    async def final(self) -> Message:
        """Whatever the final answer is, acknowledged."""
        message = await self.phone.peer.expect(
            lambda m: m.status >= 200 and m.get("Call-ID") == self.call_id and m.get("CSeq").endswith("INVITE")
        )
        self._follow("ACK", message.get("To"))
        return message

    async def cancel(self) -> None:
        """CANCEL, 200, 487."""
        self._follow("CANCEL", self.fields["To"])
        await self.phone.peer.expect(
            lambda m: m.status == 200 and m.get("CSeq").endswith("CANCEL") and m.get("Call-ID") == self.call_id
        )
        await self.answer(487)

    def _follow(self, method: str, to: str) -> None:
        fields = {**self.fields, "To": to, "CSeq": f"{self.fields['CSeq'].split()[0]} {method}"}
        fields.pop("Contact")
        self.phone.peer.send(write(f"{method} {self.uri} SIP/2.0", list(fields.items())), self.phone.server)


class ScriptedPhone:
    """One socket, one subscriber. Requests are not repeated: nothing is lost on one machine."""

    def __init__(self, peer: Peer, server: tuple[str, int], name: str, password: str) -> None:
        self.peer = peer
        self.server = server
        self.name = name
        self.password = password
        self.aor = f"{name}@{DOMAIN}"
        self.instance = f"<urn:uuid:00000000-0000-1000-8000-{next(_numbers):012x}>"
        self.registration = f"register-{name}-{next(_numbers)}"
        self.algorithm = "MD5"
        self.answers_with = ""
        self._cseq = itertools.count(1)

    @property
    def contact(self) -> str:
        """Its URI."""
        return f"sip:{self.name}@{self.peer.address}"

    async def register(
        self, parameters: str = "", expires: int | None = 600, *, contact: str | None = None, **options: Any
    ) -> Message:
        """REGISTER, answered to the challenge; returns the final answer. `parameters`: of the Contact URI."""
        if contact is None:
            contact = f'<{self.contact}{parameters}>;+sip.instance="{self.instance}"'
        fields = {"Contact": contact} if contact else {}
        if expires is not None:
            fields["Expires"] = str(expires)
        options.setdefault("call_id", self.registration)
        return await self.request("REGISTER", f"sip:{DOMAIN}", fields, to=f"<sip:{self.aor}>", **options)

    async def request(
        self,
        method: str,
        uri: str,
        fields: dict[str, str] | None = None,
        *,
        to: str = "",
        call_id: str = "",
        cseq: int | None = None,
        user: str = "",
        proven: bool = True,
        sender: str = "",
    ) -> Message:
        """Any request but INVITE; a challenge is answered once, unless `proven` is false."""
        said = self._fields(to or f"<{uri}>", call_id, sender)
        said.update(fields or {})
        answer = await self._ask(method, uri, {**said, "CSeq": f"{cseq or next(self._cseq)} {method}"})
        if answer.status == 401 and proven:
            said["Authorization"] = self.authorization(answer, method, uri, user)
            again = {**said, "CSeq": f"{cseq or next(self._cseq)} {method}"}
            answer = await self._ask(method, uri, again)
        return answer

    async def call(self, callee: str, *, proven: bool = True, **fields: str) -> Call:
        """An INVITE, with an answer to the challenge unless `proven` is false; its answers are still to come."""
        uri = callee if callee.startswith("sip:") else f"sip:{callee}"
        said = self._fields(f"<{uri}>", fields.pop("call_id", ""), fields.pop("sender", ""))
        said.update({name.replace("_", "-"): value for name, value in fields.items()})
        call = self._invite(uri, said)
        if proven:
            challenge = await call.answer(401)
            said["Authorization"] = self.authorization(challenge, "INVITE", uri)
            call = self._invite(uri, said)
        return call

    def authorization(self, challenge: Message, method: str, uri: str, user: str = "") -> str:
        """The answer to the challenge of a 401 that this phone knows; by `answers_with`, where that is set."""
        asked = challenge.all("WWW-Authenticate")
        value = next(value for value in asked if f"algorithm={self.algorithm}" in value)
        said = dict(re.findall(r'(\w+)="?([^",]*)"?', value))
        user = user or self.name
        algorithm = self.answers_with or self.algorithm
        ha1 = _hash(algorithm, f"{user}:{said['realm']}:{self.password}")
        ha2 = _hash(algorithm, f"{method}:{uri}")
        response = _hash(algorithm, f"{ha1}:{said['nonce']}:00000001:c0ffee:auth:{ha2}")
        return (
            f'Digest username="{user}", realm="{said["realm"]}", nonce="{said["nonce"]}", uri="{uri}",'
            f' response="{response}", algorithm={algorithm}, qop=auth, nc=00000001, cnonce="c0ffee"'
        )

    def _fields(self, to: str, call_id: str, sender: str) -> dict[str, str]:
        number = next(_numbers)
        return {
            "Via": "",
            "From": sender or f"<sip:{self.aor}>;tag=from{number}",
            "To": to,
            "Call-ID": call_id or f"call-{number}@{self.peer.address}",
            "Max-Forwards": "70",
        }

    def _invite(self, uri: str, said: dict[str, str]) -> Call:
        fields = {**said, "CSeq": f"{next(self._cseq)} INVITE", "Contact": f"<{self.contact}>", "Via": self._via()}
        request = write(f"INVITE {uri} SIP/2.0", list(fields.items()))
        self.peer.send(request, self.server)
        return Call(self, request, fields, uri)

    async def _ask(self, method: str, uri: str, fields: dict[str, str]) -> Message:
        fields = {**fields, "Via": self._via()}
        self.peer.send(write(f"{method} {uri} SIP/2.0", list(fields.items())), self.server)
        return await self.peer.expect(
            lambda m: m.status >= 200 and m.get("CSeq") == fields["CSeq"] and m.get("Call-ID") == fields["Call-ID"]
        )

    def _via(self) -> str:
        return f"SIP/2.0/UDP {self.peer.address};branch=z9hG4bK{next(_numbers)}"


def _hash(algorithm: str, text: str) -> str:
    return hashlib.new(algorithm.replace("-", ""), text.encode(), usedforsecurity=False).hexdigest()


def contacts(message: Message) -> list[str]:
    """The URIs of its Contacts, in order."""
    found = []
    for value in message.all("Contact"):
        inside = re.search(r"<([^>]*)>", value)
        assert inside is not None
        found.append(inside[1])
    return found
