"""Apps: a mobile application with its versions (app key and secret), its master keys and what is configured for it.

Other rooms ask `AppsService` which app an app key belongs to, for an app's master private key and for its
configuration, which `AppConfiguration` changes. Later facets (OAuth client, icons) live here too. Versions, master keys
and configurations are cached for less than two seconds.

`CredentialDesk` takes what an app pushes with, and `PushCredentials` keeps it. Providers get it from `LiveCredentials`,
and tell that what became of it; `CredentialExpiry` says in time which certificates run out, and `CredentialsReady` has
access tokens fetched before a push needs them.
"""

from __future__ import annotations

from ringback.apps.configuration import AppConfiguration
from ringback.apps.credential_desk import CredentialDesk
from ringback.apps.credential_expiry import CredentialExpiry
from ringback.apps.credentials_ready import CredentialsReady
from ringback.apps.live_credentials import LiveCredentials
from ringback.apps.model import AppVersion
from ringback.apps.push_credentials import PushCredentials
from ringback.apps.schema_configuration import CustomActivation, OAuth2Provider
from ringback.apps.schema_push_credentials import push_credential_content
from ringback.apps.service import AppsService

__all__ = [
    "AppConfiguration",
    "AppVersion",
    "AppsService",
    "CredentialDesk",
    "CredentialExpiry",
    "CredentialsReady",
    "CustomActivation",
    "LiveCredentials",
    "OAuth2Provider",
    "PushCredentials",
    "push_credential_content",
]
