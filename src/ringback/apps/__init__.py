"""Apps: a mobile application with its versions (app key and secret), its master keys and what is configured for it.

Other rooms ask `AppsService` which app an app key belongs to, for an app's master private key and for its
configuration, which `AppConfiguration` changes. Later facets (OAuth client, push credentials, icons) live here too.
Versions, master keys and configurations are cached for less than two seconds.
"""

from __future__ import annotations

from ringback.apps.configuration import AppConfiguration
from ringback.apps.model import AppVersion
from ringback.apps.schema_configuration import CustomActivation, OAuth2Provider
from ringback.apps.service import AppsService

__all__ = ["AppConfiguration", "AppVersion", "AppsService", "CustomActivation", "OAuth2Provider"]
