"""The phone's way to the server: sends `PhoneRequest`s, and says in plain words when no answer comes."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp

from ringback.softphone.errors import ServerUnreachable
from ringback.softphone.wire import PhoneRequest, read_answer

T = TypeVar("T")

ENROLLMENT_PREFIX = "/enrollment-server"
USER_AGENT = "ringback-softphone"
_MAX_ANSWER_BYTES = 4 * 1024 * 1024


def enrollment_url(url: str) -> str:
    """The URL below which phones speak: `/enrollment-server` is added unless it is there. Raises ServerUnreachable."""
    base = url.rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ServerUnreachable(f"{url!r} is no URL of a server; it looks like https://phones.example.com")
    return base if parts.path.endswith(ENROLLMENT_PREFIX) else base + ENROLLMENT_PREFIX


def root_url(url: str) -> str:
    """The server's own URL, without `/enrollment-server`. Raises ServerUnreachable."""
    return enrollment_url(url).removesuffix(ENROLLMENT_PREFIX)


class PhoneConnection:
    """One HTTP client. `session`: somebody else's, which is left open; without it the connection makes its own."""

    def __init__(self, session: aiohttp.ClientSession | None, timeout_seconds: float) -> None:
        self._session = session
        self._owned = session is None
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    @property
    def session(self) -> aiohttp.ClientSession:
        """The client session, made when it is first needed."""
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"User-Agent": USER_AGENT})
        return self._session

    async def send(self, server_url: str, request: PhoneRequest, shape: type[T]) -> T:
        """The answer as `shape`. Raises ServerUnreachable, RefusedByServer, ServerNotGenuine."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", **request.headers}
        base = root_url(server_url) if request.at_root else enrollment_url(server_url)
        try:
            async with self.session.request(
                request.method,
                base + request.path,
                data=request.body or None,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                body = await response.content.read(_MAX_ANSWER_BYTES)
                while not response.content.at_eof():
                    body += await response.content.read(_MAX_ANSWER_BYTES)
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise ServerUnreachable(f"The server's answer to {request.path} is too long.")
                status = response.status
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise unreachable(server_url, error) from error
        return read_answer(request, status, body, shape)

    async def close(self) -> None:
        """Closes the session if it is our own."""
        if self._owned and self._session is not None:
            await self._session.close()
            self._session = None


def unreachable(server_url: str, error: Exception) -> ServerUnreachable:
    """The error that names the URL and the reason."""
    reason = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return ServerUnreachable(f"The server at {server_url} does not answer ({reason}). Does it run? Is the URL right?")
