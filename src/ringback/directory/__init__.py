"""Directory: what is known of users, and of the subscribers that their phones register as.

A **user** is a person that may log in, with a password that it chose (`Users`, `Passwords`); the same person as the
`userId` of registrations, which need no user here. `PasswordAuthenticator` is what the HTTP glue asks on addresses for
people. `DirectoryService` keeps the claims that a back end stores for its users (OpenID Connect Core §5.1), one object
for each user of an app: phones get them from `/pa/v3/user/info` and with the answer to their activation.

A **subscriber** is `username@domain` of SIP and belongs to a user (`Domains`, `Subscribers`), with preferences at both
levels: `Subscribers.callee` answers a call in one query. What proves it is HA1 for each realm, sealed
(`SipCredentials`); `DigestGuard` judges digests by it, of SIP and, through `DigestAuthenticator`, of HTTP.
"""

from __future__ import annotations

from ringback.directory.authenticator import PasswordAuthenticator
from ringback.directory.digest import DigestGuard, Verdict
from ringback.directory.digest_authenticator import DigestAuthenticator
from ringback.directory.domains import Domains
from ringback.directory.model_sip import (
    MOBILE_PUSH,
    Callee,
    Domain,
    Preferences,
    Subscriber,
    SubscriberCredential,
    effective,
)
from ringback.directory.passwords import Passwords
from ringback.directory.schema_import import Address, ImportedLine
from ringback.directory.schema_sip import (
    ChangeDomain,
    ChangeSubscriber,
    CreateDomain,
    CreateSubscriber,
    SetPreferences,
    SetSipPassword,
)
from ringback.directory.schema_users import CreateUser
from ringback.directory.service import DirectoryService
from ringback.directory.sip_credentials import Ha1, SipCredentials, ha1_of
from ringback.directory.subscribers import NewSubscriber, Subscribers
from ringback.directory.users import Users

__all__ = [
    "MOBILE_PUSH",
    "Address",
    "Callee",
    "ChangeDomain",
    "ChangeSubscriber",
    "CreateDomain",
    "CreateSubscriber",
    "CreateUser",
    "DigestAuthenticator",
    "DigestGuard",
    "DirectoryService",
    "Domain",
    "Domains",
    "Ha1",
    "ImportedLine",
    "NewSubscriber",
    "PasswordAuthenticator",
    "Passwords",
    "Preferences",
    "SetPreferences",
    "SetSipPassword",
    "SipCredentials",
    "Subscriber",
    "SubscriberCredential",
    "Subscribers",
    "Users",
    "Verdict",
    "effective",
    "ha1_of",
]
