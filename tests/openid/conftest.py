"""A real provider with keys of the test's own, and a clock that can be moved from the time of day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from ringback.clock import SystemClock
from tests.peers.openid import OpenIdPeer, openid_peer


class OffsetClock:
    """The time of day, as the provider has it too, and what the test adds."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self._offset_ms = 0

    def now_ms(self) -> int:
        return self._real.now_ms() + self._offset_ms

    def advance(self, seconds: float) -> None:
        self._offset_ms += round(seconds * 1000)


def private_keys(name: str) -> list[dict[str, Any]]:
    """An RSA and an EC key, as a provider's configuration has them."""
    rsa = RSAKey.generate_key(2048, {"kid": f"{name}-rsa", "use": "sig", "alg": "RS256"})
    curve = ECKey.generate_key("P-256", {"kid": f"{name}-ec", "use": "sig", "alg": "ES256"})
    return [key.as_dict(private=True) for key in (rsa, curve)]


@pytest.fixture(scope="session")
def first_keys() -> list[dict[str, Any]]:
    return private_keys("first")


@pytest.fixture
def moving_clock() -> OffsetClock:
    return OffsetClock()


@pytest.fixture
async def provider(tmp_path: Path, first_keys: list[dict[str, Any]]) -> AsyncIterator[OpenIdPeer]:
    """npm oidc-provider on this machine."""
    async with openid_peer(tmp_path, first_keys) as peer:
        yield peer
