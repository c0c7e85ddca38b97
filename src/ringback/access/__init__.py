"""Access: who may call. System users with a role and, for integration users, the apps that they may use.

`Authenticators` is what the HTTP glue asks who is calling: by password (Basic) or by access token (Bearer).
`AccessService.apps_of` answers, inside a unit of work and never from a cache, which apps a principal may use: a
disabled user has none, from that moment on.
"""

from __future__ import annotations

from ringback.access.authenticator import BasicAuthenticator
from ringback.access.bearer import Authenticators, BearerAuthenticator, BearerSettings
from ringback.access.schema import CreateUser
from ringback.access.service import AccessService

__all__ = [
    "AccessService",
    "Authenticators",
    "BasicAuthenticator",
    "BearerAuthenticator",
    "BearerSettings",
    "CreateUser",
]
