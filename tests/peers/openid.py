"""A real OpenID provider (npm oidc-provider), and a browser that is none."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import html
import json
import re
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp

from tests.peers.server import basic

FOLDER = Path(__file__).parent
REDIRECT = "https://app.example.com/callback"
SECRETS = {
    "mobile": "mobile secret:%",
    "mobile-post": "post secret",
    "mobile-es": "es secret",
    "bank-back-end": "machine secret",
    "nobody": "machine secret",
    "root": "machine secret",
}


@dataclass(frozen=True)
class Permission:
    """What a phone brings home from the provider."""

    code: str
    nonce: str
    code_verifier: str


class OpenIdPeer:
    """The provider as a process. `keys`: private JWKs, so that a test may change them."""

    def __init__(self, folder: Path, keys: list[dict[str, Any]]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._file = folder / "openid-keys.json"
        self._keys = keys
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, keys: list[dict[str, Any]] | None = None) -> None:
        """Starts, with other keys where they are given, and returns when it answers."""
        self._keys = keys or self._keys
        self._file.write_text(json.dumps({"keys": self._keys}))
        self._process = await asyncio.create_subprocess_exec(
            "node",
            str(FOLDER / "openid_provider.mjs"),
            str(self.port),
            str(self._file),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        assert line.decode().strip() == self.issuer, "is tests/peers/node_modules there? See: ./run test"

    async def stop(self) -> None:
        """Ends the process."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def permission(self, client_id: str, person: str) -> Permission:
        """A code for the client, after the person logged in and agreed: the pages as a browser would see them."""
        verifier, nonce, state = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": client_id,
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            location, text = await _visit(browser, "GET", f"{self.issuer}/auth", params=query)
            while not location.startswith(REDIRECT):
                if location:
                    location, text = await _visit(browser, "GET", urljoin(self.issuer, location))
                    continue
                form = re.search(r'action="([^"]+)"', text)
                prompt = re.search(r'name="prompt" value="(\w+)"', text)
                assert form is not None, text
                assert prompt is not None, text
                fields = {"prompt": prompt[1], "login": person, "password": "any"}
                location, text = await _visit(browser, "POST", html.unescape(form[1]), data=fields)
        found = parse_qs(urlsplit(location).query)
        assert found["state"] == [state]
        return Permission(found["code"][0], nonce, verifier)

    async def access_token(self, client_id: str, audience: str) -> str:
        """An access token by client credentials."""
        form = {"grant_type": "client_credentials", "scope": "call", "resource": audience}
        headers = {"Authorization": basic(client_id, SECRETS[client_id].replace(" ", "+"))}
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{self.issuer}/token", data=form, headers=headers) as got,
        ):
            answer = await got.json()
            assert got.status == 200, answer
            token: str = answer["access_token"]
            return token


async def _visit(browser: aiohttp.ClientSession, method: str, url: str, **options: Any) -> tuple[str, str]:
    """The Location of a redirect, or nothing; and the page."""
    async with browser.request(method, url, allow_redirects=False, **options) as page:
        return page.headers.get("Location", ""), await page.text()


@contextlib.asynccontextmanager
async def openid_peer(folder: Path, keys: list[dict[str, Any]]) -> AsyncIterator[OpenIdPeer]:
    """A provider for one test."""
    peer = OpenIdPeer(folder, keys)
    try:
        await peer.start()
        yield peer
    finally:
        await peer.stop()
