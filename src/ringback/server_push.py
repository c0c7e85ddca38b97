"""The part of `server.py` that constructs what pushes go through: queue, credentials, providers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ringback.apps import CredentialDesk, CredentialsReady, LiveCredentials, PushCredentials
from ringback.destinations import Network
from ringback.egress import CONNECTIONS_PER_HOST, Egress
from ringback.http2 import Backend, PoolLimits
from ringback.outbox import Outbox
from ringback.push import (
    CHANNELS,
    LIVE_ACTIVITY,
    ApnsProvider,
    CallPushes,
    CredentialTrials,
    FcmProvider,
    LeftCalls,
    LocalProvider,
    PoolSettings,
    ProviderMakers,
    ProviderTokens,
    ProviderUrls,
    PushChannel,
    Pushes,
    PushTokens,
    WebPushProvider,
    provider_tls,
)
from ringback.settings_checks import parse_networks, parse_ports

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.events import Events
    from ringback.installation import Installation
    from ringback.settings import Settings

WEB_PUSHES_PER_HOST = 100
"""There are few push services, and each has many of our subscribers."""


@dataclass(frozen=True)
class PushParts:
    """What was made, and who closes it."""

    tokens: PushTokens
    pushes: Pushes
    calls: CallPushes
    credentials: PushCredentials
    live_credentials: LiveCredentials
    desk: CredentialDesk
    ready: CredentialsReady
    provider_tokens: ProviderTokens
    apns: ApnsProvider
    fcm: FcmProvider
    web_push_egress: Egress

    async def close(self) -> None:
        """Ends calls that ring, then closes the connections to providers."""
        await self.calls.close()
        await self.apns.close()
        await self.fcm.close()
        await self.provider_tokens.close()
        await self.web_push_egress.close()


def wire_push(installation: Installation, *, events: Events, audit: AuditLog, outbox: Outbox) -> PushParts:
    """Constructs it, lowest first, and plugs it into the outbox."""
    settings, store, vault = installation.settings, installation.store, installation.vault
    source: dict[str, Any] = {"clock": installation.clock, "randomness": installation.randomness}
    tokens = PushTokens(vault=vault, events=events, **source)
    credentials = PushCredentials(vault=vault, audit=audit, waiting=outbox, lanes=CHANNELS, **source)
    live = LiveCredentials(
        store=store,
        clock=installation.clock,
        credentials=credentials,
        cache_seconds=settings.push_credentials_cache_seconds,
    )
    provider_tokens = ProviderTokens(store=store, vault=vault, **source)
    makers = ProviderMakers(urls=_urls(settings), tokens=provider_tokens, pools=_pools(settings), **source)
    apns, fcm = makers.apns(live), makers.fcm(live)
    web_push_egress = guarded_egress(settings, per_host=WEB_PUSHES_PER_HOST, ca_file=settings.push_ca_file)
    local = LocalProvider(store=store, **source)
    providers: dict[str, Any] = {
        "apns": apns,
        "apns-voip": apns,
        LIVE_ACTIVITY: apns,
        "fcm": fcm,
        "webpush": WebPushProvider(way_out=web_push_egress, credentials=live, **source),
    }
    pushes = Pushes(outbox=outbox, kinds=("local", *providers), **source)
    channel = PushChannel(push_tokens=tokens, local=local, providers=providers)
    channel.plug_into(outbox)
    LeftCalls(channel).plug_into(outbox)
    return PushParts(
        tokens=tokens,
        pushes=pushes,
        calls=CallPushes(
            store=store,
            clock=installation.clock,
            outbox=outbox,
            pushes=pushes,
            push_tokens=tokens,
            channel=channel,
            providers=providers,
            local=local,
        ),
        credentials=credentials,
        live_credentials=live,
        desk=CredentialDesk(
            store=store,
            clock=installation.clock,
            credentials=credentials,
            live=live,
            trials=CredentialTrials(makers=makers, **source),
        ),
        ready=CredentialsReady(store=store, credentials=credentials, fcm=fcm),
        provider_tokens=provider_tokens,
        apns=apns,
        fcm=fcm,
        web_push_egress=web_push_egress,
    )


def guarded_egress(settings: Settings, *, per_host: int = CONNECTIONS_PER_HOST, ca_file: str = "") -> Egress:
    """A way out, as the settings limit it.

    `per_host`: connections to one host at a time. `ca_file`: whom to trust beside the system's authorities.
    """
    allow: list[Network] = parse_networks(settings.egress_allow, "RINGBACK_EGRESS_ALLOW")
    ports = parse_ports("RINGBACK_EGRESS_PORTS", settings.egress_ports)
    tls = provider_tls(ca_file) if ca_file else None
    return Egress(allow=allow, ports=ports, proxy=settings.egress_proxy, tls=tls, per_host=per_host)


def _urls(settings: Settings) -> ProviderUrls:
    return ProviderUrls(
        apns=settings.apns_url,
        apns_sandbox=settings.apns_sandbox_url,
        fcm=settings.fcm_url,
        fcm_token=settings.fcm_token_url,
    )


def _pools(settings: Settings) -> PoolSettings:
    """How push providers are reached."""
    return PoolSettings(
        ca_file=settings.push_ca_file,
        proxy=settings.push_proxy,
        backend=cast("Backend", settings.push_http2),
        limits=PoolLimits(most_connections=settings.push_connections),
    )
