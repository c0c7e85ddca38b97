"""Apps: a mobile application with its versions (app key and secret), its master keys and its SDK configuration.

Other rooms ask `AppsService` which app an app key belongs to and for an app's master private key. Later facets (OAuth
client, push credentials, icons) live here too. What never changes after it was written (a version's secret, a master
key) is cached; whether a version is supported is kept no longer than two seconds.
"""

from __future__ import annotations

from ringback.apps.model import AppVersion
from ringback.apps.service import AppsService

__all__ = ["AppVersion", "AppsService"]
