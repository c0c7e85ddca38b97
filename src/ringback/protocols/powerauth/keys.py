"""P-256 keys: encoding, key agreement and ECDSA.

Source: PowerAuth specification, "Implementation Details" (key encoding, shared secret) and "Basic Definitions".
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ringback.protocols.powerauth.errors import InvalidPrivateKey, InvalidPublicKey
from ringback.protocols.powerauth.primitives import xor16

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey

_CURVE = ec.SECP256R1()
_ECDSA = ec.ECDSA(hashes.SHA256())
_ECDH = ec.ECDH()


def generate_private_key() -> PrivateKey:
    """A new key pair; the randomness is OpenSSL's own, which a caller cannot replace."""
    return ec.generate_private_key(_CURVE)


def private_key_from_bytes(scalar: bytes) -> PrivateKey:
    """Private key of 32 bytes big endian, or 33 with a leading zero as Java writes it. Raises InvalidPrivateKey."""
    if len(scalar) == 33 and scalar[0] == 0:
        scalar = scalar[1:]
    if len(scalar) != 32:
        raise InvalidPrivateKey
    try:
        return ec.derive_private_key(int.from_bytes(scalar, "big"), _CURVE)
    except ValueError:
        raise InvalidPrivateKey from None


def private_key_to_bytes(key: PrivateKey) -> bytes:
    """Private scalar, 32 bytes big endian."""
    return key.private_numbers().private_value.to_bytes(32, "big")


def public_key_from_bytes(data: bytes) -> PublicKey:
    """Public key of 33 (compressed) or 65 (uncompressed) bytes, SEC 1 §2.3.4.

    Raises InvalidPublicKey for another length or form, the point at infinity, and a point that is not on the curve.
    """
    if not (len(data) == 33 and data[0] in (2, 3)) and not (len(data) == 65 and data[0] == 4):
        raise InvalidPublicKey
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, data)
    except ValueError:
        raise InvalidPublicKey from None


def public_key_to_bytes(key: PublicKey, *, compressed: bool = False) -> bytes:
    """Public key in 65 bytes, or 33 when compressed (SEC 1 §2.3.3)."""
    form = PublicFormat.CompressedPoint if compressed else PublicFormat.UncompressedPoint
    return key.public_bytes(Encoding.X962, form)


def x_coordinate(public: PublicKey) -> bytes:
    """The x coordinate, always 32 bytes."""
    return public_key_to_bytes(public, compressed=True)[1:]


def shared_x(private: PrivateKey, public: PublicKey) -> bytes:
    """ECDH: the x coordinate of the shared point, 32 bytes ("Implementation Details", SHARED_SECRET)."""
    return private.exchange(_ECDH, public)


def master_secret(private: PrivateKey, public: PublicKey) -> bytes:
    """KEY_MASTER_SECRET, 16 bytes: the shared x coordinate folded ("Key Derivation")."""
    return xor16(shared_x(private, public))


def sign_der(private: PrivateKey, data: bytes) -> bytes:
    """SHA256withECDSA, DER encoded."""
    return private.sign(data, _ECDSA)


def verify_der(public: PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether `signature` is SHA256withECDSA over `data` in DER; anything malformed is simply False."""
    try:
        public.verify(signature, data, _ECDSA)
    except InvalidSignature:
        return False
    return True


def sign_jose(private: PrivateKey, data: bytes) -> bytes:
    """ES256 signature: r and s in 64 bytes (RFC 7518 §3.4)."""
    r, s = utils.decode_dss_signature(sign_der(private, data))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify_jose(public: PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether `signature` (r and s in 64 bytes) is ES256 over `data` (RFC 7518 §3.4)."""
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    return verify_der(public, utils.encode_dss_signature(r, s), data)
