"""Takes calls over SIP, in the one process that owns the addresses: sockets, and the mode that the settings say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

from ringback.calls import (
    ANSWERS,
    ApplicationServer,
    ApplicationServerSettings,
    CallProgress,
    EarlyMedia,
    EmbeddedServer,
    EmbeddedSettings,
    Lifetimes,
    Prompts,
    Registrar,
    SipProof,
)
from ringback.errors import StartRefused
from ringback.http import Certificate
from ringback.settings_checks import parse_listen, parse_networks
from ringback.sip import (
    SipAddress,
    SipCounters,
    SipEndpoint,
    SipHandler,
    SipLimits,
    SipPassword,
    SipUnreachable,
    Subscriptions,
    Timers,
    Trusted,
    next_hop,
)

if TYPE_CHECKING:
    from ringback.installation import Installation
    from ringback.server_calls import CallParts
    from ringback.settings import Settings

DRAIN_SECONDS = 2.0
"""When the process stops: how long what is under way may take to end, and then its answers to be acknowledged."""

LEAVING_SECONDS = 4.5
"""So long an application server that stops refuses what is new, until its proxies know that it goes.

The Kamailio that we configure asks every 2 s, and believes it the second time."""

PROXY_WAITS_SECONDS = 3.5
"""The Kamailio that we configure gives up after 4 s, and sends its INVITE for the last time after 3.5 s."""


@contextlib.asynccontextmanager
async def take_calls(
    installation: Installation,
    calls: CallParts,
    *,
    timers: Timers | None = None,
    drain_seconds: float = DRAIN_SECONDS,
    leaving_seconds: float = LEAVING_SECONDS,
) -> AsyncIterator[Sequence[str]]:
    """Listens as the settings say; gives the addresses, as `transport:HOST:PORT`. Raises StartRefused.

    `timers`: in the place of those of RFC 3261.
    """
    settings = installation.settings
    trusted = Trusted(parse_networks(settings.sip_proxies, "RINGBACK_SIP_PROXIES"))
    async with contextlib.AsyncExitStack() as running:
        progress = CallProgress(await _early_media(running, settings), trusted)
        handler: ApplicationServer | EmbeddedServer
        if settings.sip_mode == "application-server":
            handler = _application_server(settings, calls, trusted, progress)
        else:
            handler = _embedded(installation, calls, trusted, progress)
        endpoint = _endpoint(settings, handler, timers)
        running.push_async_callback(endpoint.close, drain_seconds)
        running.push_async_callback(handler.close, drain_seconds)
        if isinstance(handler, ApplicationServer):
            handler.attach(Subscriptions(endpoint))
        addresses = await _listen(running, settings, endpoint)
        if isinstance(handler, ApplicationServer):
            running.push_async_callback(_leave, endpoint, handler, leaving_seconds)
        yield [str(address) for address in addresses]


async def _leave(endpoint: SipEndpoint, application_server: ApplicationServer, seconds: float) -> None:
    """Answers the calls that wait, and stays so long.

    What comes meanwhile is refused, so that a proxy asks the next server at once, not after it has waited in vain.
    """
    endpoint.leave()
    await asyncio.gather(application_server.close(seconds), asyncio.sleep(seconds))


def _endpoint(settings: Settings, handler: SipHandler, timers: Timers | None) -> SipEndpoint:
    return SipEndpoint(
        handler,
        name="Ringback",
        limits=SipLimits(
            calls=2 * settings.sip_max_calls,  # the handler refuses first, and keeps a record
            message_bytes=settings.sip_max_message_bytes,
            messages_per_second=settings.sip_requests_per_second,
            unread_seconds=PROXY_WAITS_SECONDS if isinstance(handler, ApplicationServer) else None,
        ),
        advertised=settings.sip_advertise,
        methods=ANSWERS if isinstance(handler, EmbeddedServer) else None,
        trusted=parse_networks(settings.sip_proxies, "RINGBACK_SIP_PROXIES"),
        tls=_tls_to_others(settings),
        tls_back=_tls_back(settings),
        timers=timers,
        counters=SipCounters(exported=True),
    )


def _application_server(
    settings: Settings, calls: CallParts, trusted: Trusted, progress: CallProgress
) -> ApplicationServer:
    password = None
    if settings.sip_proxy_user:
        password = SipPassword(settings.sip_proxy_user, settings.sip_proxy_password)
    return ApplicationServer(
        settings=ApplicationServerSettings(
            proxies=trusted,
            proxy=_proxy(settings),
            password=password,
            deflect_status=settings.sip_deflect_status,
            deflect_port=settings.sip_deflect_port,
            goes_on_unwatched=settings.sip_without_subscription == "continue",
            max_calls=settings.sip_max_calls,
            wake_seconds=settings.wake_seconds,
        ),
        waking=calls.wake_ups,
        progress=progress,
    )


def _embedded(installation: Installation, calls: CallParts, trusted: Trusted, progress: CallProgress) -> EmbeddedServer:
    settings, store, clock = installation.settings, installation.store, installation.clock
    proof = SipProof(
        digests=calls.directory.digests,
        realm=settings.sip_realm,
        algorithms=tuple(settings.sip_digest_algorithms.split(",")),
    )
    server = EmbeddedServer(
        settings=EmbeddedSettings(
            trusted=trusted,
            max_calls=settings.sip_max_calls,
            wake_seconds=settings.wake_seconds,
            pushes_per_minute=settings.sip_pushes_per_minute,
        ),
        store=store,
        clock=clock,
        waking=calls.wake_ups,
        reaching=calls.reaching,
        bindings=calls.bindings,
        proof=proof,
        purrs=calls.purrs,
        progress=progress,
    )
    server.attach(
        Registrar(
            store=store,
            clock=clock,
            bindings=calls.bindings,
            proof=proof,
            services=calls.services,
            purrs=calls.purrs,
            lifetimes=Lifetimes(settings.sip_min_expires, settings.sip_max_expires),
            hear=server.registered,
        )
    )
    return server


async def _early_media(running: contextlib.AsyncExitStack, settings: Settings) -> EarlyMedia | None:
    if not settings.sip_early_media:
        return None
    prompts = Prompts(settings.sip_prompt, loop=settings.sip_prompt_loop)
    host, port = _rtp_listen(settings)
    try:
        media = await EarlyMedia.open(prompts, host, port)
    except OSError as error:
        raise StartRefused(f"RINGBACK_SIP_RTP_LISTEN: {host}:{port} cannot be used: {error}.", cause=error) from error
    running.callback(media.close)
    return media


def _rtp_listen(settings: Settings) -> tuple[str, int]:
    if settings.sip_rtp_listen:
        return parse_listen("RINGBACK_SIP_RTP_LISTEN", settings.sip_rtp_listen)
    return parse_listen("RINGBACK_SIP_LISTEN", settings.sip_listen or settings.sip_tls_listen)[0], 0


async def _listen(running: contextlib.AsyncExitStack, settings: Settings, endpoint: SipEndpoint) -> list[SipAddress]:
    """UDP and TCP on one port, TLS on its own; a port in use is told before anything is taken."""
    addresses = []
    if settings.sip_listen:
        host, port = parse_listen("RINGBACK_SIP_LISTEN", settings.sip_listen)
        with _told_of("RINGBACK_SIP_LISTEN", settings.sip_listen):
            addresses += await endpoint.listen_on_both(host, port)
    if settings.sip_tls_listen:
        certificate = Certificate(settings.tls_certificate, settings.tls_key, protocols=())
        watch = asyncio.create_task(certificate.watch())
        running.callback(watch.cancel)
        host, port = parse_listen("RINGBACK_SIP_TLS_LISTEN", settings.sip_tls_listen)
        with _told_of("RINGBACK_SIP_TLS_LISTEN", settings.sip_tls_listen):
            addresses.append(await endpoint.listen("tls", host, port, ssl=certificate.context))
    return addresses


@contextlib.contextmanager
def _told_of(setting: str, value: str) -> Iterator[None]:
    """What keeps an address from being used, in the words of the other listeners."""
    try:
        yield
    except OSError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error  # uvloop puts its own words around
        named = isinstance(cause, socket.gaierror) or not cause.errno
        reason = (cause.strerror or str(cause)) if named else os.strerror(cause.errno or 0)
        raise StartRefused(f"{setting}: cannot listen on {value}: {reason}.", cause=error) from error


def _tls_to_others(settings: Settings) -> ssl.SSLContext | None:
    """How we connect over TLS: to a proxy, and to whoever connected to us and lost that connection."""
    proxy = _proxy(settings)
    if not settings.sip_tls_listen and (proxy is None or proxy.transport != "tls"):
        return None
    context = ssl.create_default_context()
    if settings.sip_ca_file:
        context.load_verify_locations(settings.sip_ca_file)
    return context


def _tls_back(settings: Settings) -> ssl.SSLContext | None:
    """How we connect to an address that a call came from over TLS, to answer it: nobody but `sip_ca_file` counts.

    A certificate is rarely for an address, so its name is not checked. Who sent the call had to show none at all.
    """
    if not settings.sip_tls_listen or not settings.sip_ca_file:
        return None
    context = ssl.create_default_context(cafile=settings.sip_ca_file)
    context.check_hostname = False
    return context


def _proxy(settings: Settings) -> SipAddress | None:
    if not settings.sip_proxy:
        return None
    try:
        return next_hop(f"sip:{settings.sip_proxy}")
    except SipUnreachable as error:
        raise StartRefused(
            f"RINGBACK_SIP_PROXY must be HOST[:PORT][;transport=tcp], not {settings.sip_proxy!r}."
        ) from error
