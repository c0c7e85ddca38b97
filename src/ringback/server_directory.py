"""The part of `server.py` that constructs the directory of SIP: domains, subscribers, what proves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.directory import (
    DigestAuthenticator,
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
    """What was made. `digests`: judges who proves it with a password of SIP, over SIP; `by_http`: over HTTP."""

    domains: Domains
    subscribers: Subscribers
    credentials: SipCredentials
    digests: DigestGuard
    by_http: DigestAuthenticator


def wire_directory(
    installation: Installation, *, audit: AuditLog, apps: AppsService, push_tokens: PushTokens
) -> SipDirectory:
    """Constructs it, lowest first."""
    settings, clock, vault = installation.settings, installation.clock, installation.vault
    credentials = SipCredentials(clock=clock, vault=vault, audit=audit, realm=settings.sip_realm)
    digests = DigestGuard(
        store=installation.store,
        credentials=credentials,
        vault=vault,
        clock=clock,
        randomness=installation.randomness,
        attempts_per_minute=settings.uds_attempts_per_minute,
    )
    # Those who ask over HTTP know how to choose, so they are offered the better one always.
    over_http = tuple(dict.fromkeys(("SHA-256", *settings.sip_digest_algorithms.split(","))))
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
        digests=digests,
        by_http=DigestAuthenticator(
            store=installation.store, guard=digests, credentials=credentials, algorithms=over_http
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
