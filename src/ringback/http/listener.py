"""Serves an application on a socket: uvicorn, uvloop, httptools; TLS whose certificate is read again on change."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import structlog
import uvicorn

from ringback.errors import StartRefused
from ringback.http.complaints import keep_quiet
from ringback.http.connection import Connection
from ringback.http.doorstep import Doorstep

_log = structlog.get_logger("ringback.listener")
CERTIFICATE_CHECK_SECONDS = 1.0
DRAIN_SECONDS = 10


def bind_address(name: str, host: str, port: int) -> socket.socket:
    """A listening socket. Raises StartRefused that names the setting and says what is in the way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named so that asyncio's own loop, too, switches Nagle's algorithm off on what is accepted.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise StartRefused(f"{name}: cannot listen on {host}:{port}: {reason}.", cause=error) from error
    listener.set_inheritable(True)
    return listener


class Certificate:
    """The TLS certificate and key of the listeners; `watch` loads them again when the files change.

    `protocols`: what is spoken inside (ALPN), for connections that ask; none = nothing is said.
    """

    def __init__(self, certificate: str, key: str, protocols: Sequence[str] = ("http/1.1",)) -> None:
        self._certificate, self._key = Path(certificate), Path(key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        if protocols:
            self._context.set_alpn_protocols(list(protocols))
        self._seen = self._load()
        self._said = ""

    @property
    def context(self) -> ssl.SSLContext:
        """The context that every new connection uses."""
        return self._context

    def _stamp(self) -> tuple[float, float]:
        return self._certificate.stat().st_mtime, self._key.stat().st_mtime

    def _load(self) -> tuple[float, float]:
        try:
            stamp = self._stamp()
            # Tried on a fresh context first: a half-replaced pair must not break the one that serves.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
            self._context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            message = f"RINGBACK_TLS_CERTIFICATE and RINGBACK_TLS_KEY cannot be used: {error}."
            raise StartRefused(message, cause=error) from error
        return stamp

    def reload_if_changed(self) -> bool:
        """Whether a changed certificate is now in use; one that cannot be used is logged and left out."""
        try:
            if self._stamp() == self._seen:
                self._said = ""
                return False
            self._seen = self._load()
        except (OSError, StartRefused) as error:
            if str(error) != self._said:  # this is looked at every second
                self._said = str(error)
                _log.warning("the new certificate is not usable yet; the old one stays", reason=self._said)
            return False
        self._said = ""
        _log.info("the certificate was read again")
        return True

    async def watch(self) -> None:
        """Looks for a changed certificate until cancelled."""
        while True:
            await asyncio.sleep(CERTIFICATE_CHECK_SECONDS)
            self.reload_if_changed()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: `serve` owns those."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listener:
    """One application on one socket.

    `max_connections`: with that many connections or running requests, further requests are answered 503.
    """

    def __init__(
        self, app: Any, listening: socket.socket, certificate: Certificate | None, *, max_connections: int = 8_000
    ) -> None:
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=Connection,
            ws="none",
            limit_concurrency=max_connections,
            lifespan="off",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=True,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        config.load()
        keep_quiet()
        self._doorstep = None
        if certificate is not None:
            self._doorstep = Doorstep(certificate.context, Connection, most=max_connections)
            config.http_protocol_class = cast("Any", self._doorstep)
        self._server = _Server(config)
        self._socket = listening

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def ready(self) -> bool:
        """Whether connections are accepted."""
        return self._server.started

    async def serve(self) -> None:
        """Serves until `stop`, then answers what is running and returns."""
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            if self._doorstep is not None:
                self._doorstep.close()

    def stop(self) -> None:
        """Takes no new connections and lets the running requests end."""
        self._server.should_exit = True
