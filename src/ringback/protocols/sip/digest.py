"""Digest authentication, both sides. Source: RFC 3261 §22, RFC 8760, RFC 7616; without qop: RFC 2069.

MD5 and SHA-256, qop `auth` or none. Who makes nonces and watches their counts is the server's affair (`directory`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.headers import quoted, split_elements, unquoted

ALGORITHMS: Final = ("SHA-256", "MD5")
_HEX: Final = frozenset("0123456789abcdefABCDEF")


class Challenge(msgspec.Struct, frozen=True):
    """What a server asks (WWW-Authenticate, Proxy-Authenticate). qop: what it offers, () for the old form."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    stale: bool = False

    @property
    def can_be_answered(self) -> bool:
        """Whether we know the algorithm, and `auth` will do."""
        return _known(self.algorithm) is not None and (not self.qop or "auth" in self.qop)


class Authorization(msgspec.Struct, frozen=True):
    """What a client answers. nc: 8 hexadecimal digits. qop, nc, cnonce: None in the old form."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    qop: str | None = None
    nc: str | None = None
    cnonce: str | None = None
    opaque: str | None = None


def ha1(username: str, realm: str, password: str, algorithm: str = "MD5") -> str:
    """What stands for the password in one realm, and is as good as it there: hexadecimal. Raises ValueError."""
    return _hash(algorithm)(f"{username}:{realm}:{password}")


def challenge(
    realm: str,
    nonce: str,
    algorithm: str = "MD5",
    *,
    stale: bool = False,
    opaque: str | None = None,
    qop: str | None = "auth",
) -> str:
    """The value of WWW-Authenticate. Several algorithms are several fields, the best first (RFC 8760 §2.3)."""
    parts = [f"realm={quoted(realm)}", f"nonce={quoted(nonce)}"]
    if opaque is not None:
        parts.append(f"opaque={quoted(opaque)}")
    if stale:
        parts.append("stale=true")
    parts.append(f"algorithm={algorithm}")
    if qop is not None:
        parts.append(f"qop={quoted(qop)}")
    return "Digest " + ", ".join(parts)


def parse_challenge(value: str) -> Challenge:
    """Reads one field. Raises SipMalformed, also for other schemes than Digest."""
    found = _fields(value)
    return Challenge(
        realm=_needed(found, "realm"),
        nonce=_needed(found, "nonce"),
        algorithm=found.get("algorithm", "MD5"),
        qop=tuple(word.strip().lower() for word in found.get("qop", "").split(",") if word.strip()),
        opaque=found.get("opaque"),
        stale=found.get("stale", "").lower() == "true",
    )


def choose_challenge(values: Iterable[str]) -> Challenge | None:
    """The first field that can be read and answered: the server puts the best one first (RFC 8760 §2.4)."""
    for value in values:
        try:
            found = parse_challenge(value)
        except SipMalformed:
            continue
        if found.can_be_answered:
            return found
    return None


def answer(
    challenge: Challenge,
    method: str,
    uri: str,
    username: str,
    ha1: str | None = None,
    *,
    password: str | None = None,
    cnonce: str,
    nc: int = 1,
) -> str:
    """The value of Authorization or Proxy-Authorization, from the HA1 of this realm and algorithm or the password.

    uri: the Request-URI. nc: how often this nonce was answered, from 1. Raises ValueError for a challenge that
    cannot be answered, or without a secret.
    """
    if not challenge.can_be_answered:
        raise ValueError("This challenge asks for an algorithm or a protection that is not known.")
    hashed = _hash(challenge.algorithm)
    if ha1 is None:
        if password is None:
            raise ValueError("A challenge is answered with a password or its HA1.")
        ha1 = hashed(f"{username}:{challenge.realm}:{password}")
    count = f"{nc:08x}"
    protected = "auth" if challenge.qop else None
    response = _response(hashed, ha1, challenge.nonce, method, uri, (protected, count, cnonce) if protected else None)
    parts = [
        f"username={quoted(username)}",
        f"realm={quoted(challenge.realm)}",
        f"nonce={quoted(challenge.nonce)}",
        f"uri={quoted(uri)}",
        f"response={quoted(response)}",
        f"algorithm={challenge.algorithm}",
    ]
    if challenge.opaque is not None:
        parts.append(f"opaque={quoted(challenge.opaque)}")
    if protected:
        parts += f"qop={protected}", f"nc={count}", f"cnonce={quoted(cnonce)}"
    return "Digest " + ", ".join(parts)


def parse_authorization(value: str) -> Authorization:
    """Reads one field. Raises SipMalformed, also for other schemes, a count that is none, and qop without its count."""
    found = _fields(value)
    given = Authorization(
        username=_needed(found, "username"),
        realm=_needed(found, "realm"),
        nonce=_needed(found, "nonce"),
        uri=_needed(found, "uri"),
        response=_needed(found, "response"),
        algorithm=found.get("algorithm", "MD5"),
        qop=found["qop"].lower() if "qop" in found else None,
        nc=found.get("nc"),
        cnonce=found.get("cnonce"),
        opaque=found.get("opaque"),
    )
    if given.qop is not None and (given.nc is None or given.cnonce is None):
        raise SipMalformed("Malformed Authorization")
    if given.nc is not None and (len(given.nc) != 8 or not _HEX.issuperset(given.nc)):
        raise SipMalformed("Malformed Authorization")
    return given


def verify(authorization: Authorization, method: str, ha1: str) -> bool:
    """Whether the answer is right, in constant time. Realm, nonce, its count and the URI are for the caller to check.

    ha1: hexadecimal, of the algorithm that the answer names.
    """
    given = authorization
    if _known(given.algorithm) is None or given.qop not in {None, "auth"}:
        return False
    protected = None if given.qop is None else ("auth", given.nc or "", given.cnonce or "")
    right = _response(_hash(given.algorithm), ha1, given.nonce, method, given.uri, protected)
    return hmac.compare_digest(right.encode(), given.response.lower().encode("utf-8", "surrogateescape"))


def _response(
    hashed: Callable[[str], str], ha1: str, nonce: str, method: str, uri: str, protected: tuple[str, str, str] | None
) -> str:
    """RFC 7616 §3.4.1; protected = (qop, nc, cnonce)."""
    asked = hashed(f"{method}:{uri}")
    if protected is None:
        return hashed(f"{ha1}:{nonce}:{asked}")
    qop, count, cnonce = protected
    return hashed(f"{ha1}:{nonce}:{count}:{cnonce}:{qop}:{asked}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _known(algorithm: str) -> Callable[[str], str] | None:
    return {"MD5": _md5, "SHA-256": _sha256}.get(algorithm.upper())


def _hash(algorithm: str) -> Callable[[str], str]:
    found = _known(algorithm)
    if found is None:
        raise ValueError("This digest algorithm is not known.")
    return found


def _fields(value: str) -> dict[str, str]:
    scheme, _, rest = value.strip(" \t").partition(" ")
    if scheme.lower() != "digest":
        raise SipMalformed("Not Digest")
    found: dict[str, str] = {}
    for element in split_elements(rest):
        name, equals, text = element.partition("=")
        name = name.strip(" \t").lower()
        if not equals or not name or name in found:
            raise SipMalformed("Malformed Digest")
        found[name] = unquoted(text.strip(" \t"))
    return found


def _needed(found: dict[str, str], name: str) -> str:
    if name not in found:
        raise SipMalformed("Malformed Digest")
    return found[name]
