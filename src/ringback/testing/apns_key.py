"""Keys that sign the JWTs of an APNs provider, made here instead of on Apple's pages."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from ringback.testing.certificates import private_pem, write_private

SIGNATURE_BYTES = 64
Environment = Literal["production", "sandbox"]
BOTH: tuple[Environment, ...] = ("production", "sandbox")


class ProviderJwt(msgspec.Struct, frozen=True):
    """What a JWT that carries a good signature says."""

    key_id: str
    team_id: str
    issued_at: int


class ApnsKey:
    """One key. `file` is its .p8; a file that is there is used again.

    `topics`: what the key may push to, None = everything of the team; `environments`: where it is known.
    """

    def __init__(
        self,
        folder: Path,
        *,
        key_id: str = "RB2TESTKEY",
        team_id: str = "RB2TESTTEA",
        topics: tuple[str, ...] | None = None,
        environments: tuple[Environment, ...] = BOTH,
    ) -> None:
        self.key_id = key_id
        self.team_id = team_id
        self.topics = topics
        self.environments = environments
        self.file = folder / f"AuthKey_{key_id}.p8"
        if not self.file.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(self.file, private_pem(ec.generate_private_key(ec.SECP256R1())))
        key = serialization.load_pem_private_key(self.file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = ECKey.import_key(key)

    def sign(self, issued_at: int, *, key_id: str | None = None, team_id: str | None = None) -> str:
        """A provider JWT of this second (Unix time): for clients in tests that have no signer of their own."""
        header = {"alg": "ES256", "kid": key_id or self.key_id}
        return jwt.encode(header, {"iss": team_id or self.team_id, "iat": issued_at}, self._key)

    def read(self, text: str) -> ProviderJwt | None:
        """What the JWT says; None: not signed by this key, or not such a JWT at all."""
        try:
            read = jwt.decode(_plain(text), self._key, algorithms=["ES256"])
        except (JoseError, ValueError, OverflowError):
            return None
        key_id, team_id, issued_at = read.header.get("kid"), read.claims.get("iss"), read.claims.get("iat")
        if key_id != self.key_id or team_id != self.team_id or type(issued_at) is not int:
            return None
        return ProviderJwt(self.key_id, self.team_id, issued_at)


def _plain(text: str) -> str:
    """The JWT with its signature as RFC 7518 §3.4 has it. APNs also takes it in ASN.1, as some clients send it."""
    signed, _, signature = text.rpartition(".")
    given = urlsafe_b64decode(signature.encode())
    if len(given) == SIGNATURE_BYTES:
        return text
    r, s = decode_dss_signature(given)
    half = SIGNATURE_BYTES // 2
    return f"{signed}.{urlsafe_b64encode(r.to_bytes(half, 'big') + s.to_bytes(half, 'big')).decode()}"
