"""Directory: what is known of users.

So far it keeps the claims that a back end stores for its users (OpenID Connect Core §5.1), one object for each user of
an app. `DirectoryService.user_info` gives them to other rooms: phones get them from `/pa/v3/user/info` and with the
answer to their activation. Domains, subscribers and preferences come here later.
"""

from __future__ import annotations

from ringback.directory.service import DirectoryService

__all__ = ["DirectoryService"]
