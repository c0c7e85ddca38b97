"""How the providers that need a push credential are made: once for all pushes, and once more for each trial."""

from __future__ import annotations

import msgspec

from ringback.clock import Clock, Randomness
from ringback.push.apns import ApnsProvider
from ringback.push.credentials import CredentialSource
from ringback.push.fcm import FcmProvider
from ringback.push.pools import PoolSettings
from ringback.push.provider_tokens import ProviderTokens


class ProviderUrls(msgspec.Struct, frozen=True, kw_only=True):
    """Where the providers are; settings of the server, never of an app."""

    apns: str
    apns_sandbox: str
    fcm: str
    fcm_token: str


class ProviderMakers:
    """Makes them, all with the same provider tokens, since APNs counts how many it is shown."""

    def __init__(
        self,
        *,
        urls: ProviderUrls,
        tokens: ProviderTokens,
        clock: Clock,
        randomness: Randomness,
        pools: PoolSettings,
    ) -> None:
        self._urls = urls
        self._tokens = tokens
        self._clock = clock
        self._randomness = randomness
        self._pools = pools

    def apns(self, credentials: CredentialSource) -> ApnsProvider:
        """APNs, for both kinds of its push tokens."""
        return ApnsProvider(
            urls={"production": self._urls.apns, "development": self._urls.apns_sandbox},
            credentials=credentials,
            tokens=self._tokens,
            clock=self._clock,
            randomness=self._randomness,
            settings=self._pools,
        )

    def fcm(self, credentials: CredentialSource, *, only_checks: bool = False) -> FcmProvider:
        """FCM. `only_checks`: it looks at messages, and brings them to nobody."""
        return FcmProvider(
            url=self._urls.fcm,
            token_url=self._urls.fcm_token,
            credentials=credentials,
            tokens=self._tokens,
            clock=self._clock,
            randomness=self._randomness,
            settings=self._pools,
            only_checks=only_checks,
        )
