"""Directory: what is known of users.

A **user** is a person that may log in, with a password that it chose (`Users`, `Passwords`); the same person as the
`userId` of registrations, which need no user here. `PasswordAuthenticator` is what the HTTP glue asks on addresses for
people. `DirectoryService` keeps the claims that a back end stores for its users (OpenID Connect Core §5.1), one object
for each user of an app: phones get them from `/pa/v3/user/info` and with the answer to their activation. Domains,
subscribers and preferences come here later.
"""

from __future__ import annotations

from ringback.directory.authenticator import PasswordAuthenticator
from ringback.directory.passwords import Passwords
from ringback.directory.schema_users import CreateUser
from ringback.directory.service import DirectoryService
from ringback.directory.users import Users

__all__ = ["CreateUser", "DirectoryService", "PasswordAuthenticator", "Passwords", "Users"]
