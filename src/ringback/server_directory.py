"""The part of `server.py` that constructs the directory of SIP: domains, subscribers, what proves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.directory import (
    DigestGuard,
    Domains,
    Preferences,
    SipCredentials,
    Subscribers,
    api_domains,
    api_sip_credentials,
    api_subscribers,
)

if TYPE_CHECKING:
    from ringback.apps import AppsService
    from ringback.audit import AuditLog
    from ringback.directory import Passwords
    from ringback.http import Routes
    from ringback.installation import Installation
    from ringback.push import PushTokens


@dataclass(frozen=True)
class SipDirectory:
    """What was made. `digests`: judges who proves it with a password of SIP, over SIP and over HTTP."""

    domains: Domains
    subscribers: Subscribers
    credentials: SipCredentials
    digests: DigestGuard


def wire_directory(
    installation: Installation, *, audit: AuditLog, apps: AppsService, push_tokens: PushTokens
) -> SipDirectory:
    """Constructs it, lowest first."""
    settings, clock, vault = installation.settings, installation.clock, installation.vault
    credentials = SipCredentials(clock=clock, vault=vault, audit=audit, realm=settings.sip_realm)
    return SipDirectory(
        domains=Domains(clock=clock, audit=audit, apps=apps),
        subscribers=Subscribers(
            clock=clock,
            randomness=installation.randomness,
            audit=audit,
            credentials=credentials,
            push_tokens=push_tokens,
            built_in=Preferences(mobile_push_enable="never", prompt_loop=settings.sip_prompt_loop),
        ),
        credentials=credentials,
        digests=DigestGuard(
            store=installation.store,
            credentials=credentials,
            vault=vault,
            clock=clock,
            randomness=installation.randomness,
            attempts_per_minute=settings.uds_attempts_per_minute,
        ),
    )


def directory_routes(installation: Installation, made: SipDirectory, passwords: Passwords) -> Routes:
    """The handlers of domains, subscribers and what proves them."""
    store = installation.store
    return (
        api_domains.routes(store, made.domains, made.subscribers.built_in)
        + api_subscribers.routes(store, made.domains, made.subscribers, made.credentials, passwords)
        + api_sip_credentials.routes(store, made.credentials)
    )
