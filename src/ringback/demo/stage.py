"""What the chapters of the story share: the server, the back end and the phones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from ringback.demo.errors import BackEndRefused, DemoFailed
from ringback.softphone import ActivationRecovery, Phone, SipAccount, StateFile
from ringback.testing import Providers

REQUEST_SECONDS = 15.0
_NATIVE = "/api/"


class Credentials(msgspec.Struct, frozen=True):
    """User name and password of a system user."""

    username: str
    password: str


class BackEnd:
    """Somebody's back end: JSON over HTTP with Basic, to the internal listener."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, credentials: Credentials) -> None:
        self._session = session
        self._base_url = base_url
        self._basic = aiohttp.encode_basic_auth(credentials.username, credentials.password)

    async def call(
        self, method: str, path: str, content: object = None, *, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The decoded answer; a path that is not of the native API is one of PowerAuth Cloud's.

        Raises BackEndRefused for every status from 400 on, DemoFailed when no answer comes.
        """
        try:
            async with self._session.request(
                method,
                self._base_url + (path if path.startswith(_NATIVE) else f"/powerauth-cloud{path}"),
                data=None if content is None else msgspec.json.encode(content),
                params=query,
                headers={"Content-Type": "application/json", "Authorization": self._basic},
                timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise DemoFailed(f"{method} {path}: no answer ({error})", cause=error) from error
        if not response.ok:
            raise BackEndRefused(method, path, response.status, body.decode("utf-8", "replace"))
        try:
            answer: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise DemoFailed(f"{method} {path}: the answer is no JSON object", cause=error) from error
        return answer


class Stage:
    """The scene. Chapters add what later ones need: `back_end`, `app`, `phones`."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        public_url: str,
        internal_url: str,
        admin: Credentials,
        folder: Path,
        suffix: str,
        providers: Providers,
        sip_address: str = "",
    ) -> None:
        self.session = session
        self.suffix = suffix
        self.public_url = public_url
        self.internal_url = internal_url
        self.admin = BackEnd(session, internal_url, admin)
        self.app_id = f"bank-{suffix}"
        self.integration_name = f"bank-back-end-{suffix}"
        self.user_id = f"alice-{suffix}"
        self.integration: Credentials | None = None
        self.app: dict[str, Any] = {}
        self.phones: dict[str, Phone] = {}
        self.registrations: dict[str, str] = {}
        self.recovery: dict[str, ActivationRecovery | None] = {}
        self.providers = providers
        self.sip_address = sip_address
        self.sip_accounts: dict[str, SipAccount] = {}
        self._folder = folder

    @property
    def back_end(self) -> BackEnd:
        """The bank's back end. Raises DemoFailed before the chapter that creates its user."""
        if self.integration is None:
            raise DemoFailed("The back end has no credentials yet: the first chapter creates them.")
        return BackEnd(self.session, self.internal_url, self.integration)

    @property
    def sdk_config(self) -> str:
        """The SDK configuration of the app."""
        return str(self.app.get("mobileSdkConfig", ""))

    def new_phone(self, name: str) -> Phone:
        """A phone that is not activated yet; its state is a file in the demo's folder."""
        phone = Phone(StateFile(self.phone_file(name)), session=self.session)
        self.phones[name] = phone
        return phone

    def phone_file(self, name: str) -> Path:
        """Where a phone's state is, for `ringback phone --state`."""
        return self._folder / f"phone-{self.app_id}-{name}.json"

    async def commit_registration(self, registration_id: str) -> dict[str, Any]:
        """The back end commits a registration whose keys were exchanged."""
        path = f"/v2/registrations/{registration_id}/commit"
        return await self.back_end.call("POST", path, {"externalUserId": "demo"})

    async def registration(self, registration_id: str) -> dict[str, Any]:
        """A registration as the back end sees it."""
        return await self.back_end.call("GET", f"/v2/registrations/{registration_id}")

    async def operation(self, operation_id: str) -> dict[str, Any]:
        """An operation as the back end sees it."""
        return await self.back_end.call("GET", f"/v2/operations/{operation_id}")
