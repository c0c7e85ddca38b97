"""The three HTTP headers of PowerAuth: `X-PowerAuth-Authorization`, `X-PowerAuth-Token`, `X-PowerAuth-Encryption`.

Source: PowerAuth specification, "Computing and Validating Signatures", "MAC Token Based Authentication", "End-to-End
Encryption". One scanner reads all three: fields come in any order, separated by comma, comma and space, or space alone
(as the Android SDK writes the encryption header); unknown fields are ignored.
"""

from __future__ import annotations

import re

import msgspec

from ringback.protocols.powerauth.base64_text import decode_base64, encode_base64
from ringback.protocols.powerauth.errors import MalformedBase64, MalformedHeader
from ringback.protocols.powerauth.versions import ProtocolVersion, protocol_version

SIGNATURE_HEADER = "X-PowerAuth-Authorization"
TOKEN_HEADER = "X-PowerAuth-Token"  # noqa: S105 - the name of an HTTP header
ENCRYPTION_HEADER = "X-PowerAuth-Encryption"

_PREFIX = "PowerAuth "
_MAX_HEADER = 2048
_MAX_FIELDS = 16
_PAIR = re.compile(r'([A-Za-z_]{1,32})="([!#-~][ !#-~]{0,255}|)"', re.ASCII)
_SEPARATOR = re.compile(r",? ?", re.ASCII)
_ID = re.compile(r"[0-9A-Za-z._-]{1,64}", re.ASCII)
_TYPE = re.compile(r"[a-z_]{1,40}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9A-Za-z+/=-]{1,64}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,16}", re.ASCII)


class SignatureHeader(msgspec.Struct, frozen=True):
    """X-PowerAuth-Authorization."""

    version: ProtocolVersion
    activation_id: str
    application_key: str
    """Base64 text of 16 bytes."""
    nonce: bytes
    """16 bytes."""
    signature_type: str
    """Lower case, for example `possession_knowledge`; whether it exists is decided by `signature.factor_keys`."""
    signature: str
    """As sent: Base64 or decimal."""


class TokenHeader(msgspec.Struct, frozen=True):
    """X-PowerAuth-Token: the proof made with a MAC token."""

    version: ProtocolVersion
    token_id: str
    token_digest: bytes
    """32 bytes."""
    nonce: bytes
    """16 bytes."""
    timestamp: str
    """Unix milliseconds as sent; the digest covers this text."""

    @property
    def timestamp_ms(self) -> int:
        """The timestamp as a number, Unix milliseconds."""
        return int(self.timestamp)


class EncryptionHeader(msgspec.Struct, frozen=True):
    """X-PowerAuth-Encryption; absent when there is a signature header."""

    version: ProtocolVersion
    application_key: str
    """Base64 text of 16 bytes."""
    activation_id: str | None = None
    """Present in activation scope."""


def parse_signature_header(text: str) -> SignatureHeader:
    """Reads X-PowerAuth-Authorization ("Computing and Validating Signatures").

    Raises MalformedHeader naming the field, UnsupportedVersion.
    """
    fields = _scan(text)
    return SignatureHeader(
        version=protocol_version(_required(fields, "pa_version")),
        activation_id=_matching(_ID, fields, "pa_activation_id"),
        application_key=_application_key(fields, "pa_application_key"),
        nonce=_bytes(fields, "pa_nonce", 16),
        signature_type=_lower_type(fields, "pa_signature_type"),
        signature=_matching(_SIGNATURE, fields, "pa_signature"),
    )


def build_signature_header(header: SignatureHeader) -> str:
    """X-PowerAuth-Authorization as the SDK writes it: comma and space, the version first."""
    return _PREFIX + ", ".join(
        (
            f'pa_version="{header.version.text}"',
            f'pa_activation_id="{header.activation_id}"',
            f'pa_application_key="{header.application_key}"',
            f'pa_nonce="{encode_base64(header.nonce)}"',
            f'pa_signature_type="{header.signature_type}"',
            f'pa_signature="{header.signature}"',
        )
    )


def parse_token_header(text: str) -> TokenHeader:
    """Reads X-PowerAuth-Token ("MAC Token Based Authentication").

    Raises MalformedHeader naming the field, UnsupportedVersion.
    """
    fields = _scan(text)
    return TokenHeader(
        version=protocol_version(_required(fields, "version")),
        token_id=_matching(_ID, fields, "token_id"),
        token_digest=_bytes(fields, "token_digest", 32),
        nonce=_bytes(fields, "nonce", 16),
        timestamp=_matching(_TIMESTAMP, fields, "timestamp"),
    )


def build_token_header(header: TokenHeader) -> str:
    """X-PowerAuth-Token as the SDK writes it: comma and space, the version first."""
    return _PREFIX + ", ".join(
        (
            f'version="{header.version.text}"',
            f'token_id="{header.token_id}"',
            f'token_digest="{encode_base64(header.token_digest)}"',
            f'nonce="{encode_base64(header.nonce)}"',
            f'timestamp="{header.timestamp}"',
        )
    )


def parse_encryption_header(text: str) -> EncryptionHeader:
    """Reads X-PowerAuth-Encryption ("End-to-End Encryption").

    Raises MalformedHeader naming the field, UnsupportedVersion.
    """
    fields = _scan(text)
    return EncryptionHeader(
        version=protocol_version(_required(fields, "version")),
        application_key=_application_key(fields, "application_key"),
        activation_id=_matching(_ID, fields, "activation_id") if "activation_id" in fields else None,
    )


def build_encryption_header(header: EncryptionHeader) -> str:
    """X-PowerAuth-Encryption as the Android SDK writes it: spaces and no commas."""
    text = f'{_PREFIX}version="{header.version.text}" application_key="{header.application_key}"'
    return text if header.activation_id is None else f'{text} activation_id="{header.activation_id}"'


def _scan(text: str) -> dict[str, str]:
    """All `name="value"` pairs after the prefix; duplicates, gaps and leftovers are refused."""
    end = len(text)
    if end > _MAX_HEADER or not text.startswith(_PREFIX):
        raise MalformedHeader("header")
    fields: dict[str, str] = {}
    at = len(_PREFIX)
    while True:
        pair = _PAIR.match(text, at)
        if pair is None or len(fields) == _MAX_FIELDS:
            raise MalformedHeader("header")
        name, value = pair.groups()
        if name in fields:
            raise MalformedHeader(name)
        fields[name] = value
        at = pair.end()
        if at == end:
            return fields
        separator = _SEPARATOR.match(text, at)
        if separator is None or separator.end() == at:
            raise MalformedHeader("header")
        at = separator.end()


def _required(fields: dict[str, str], name: str) -> str:
    try:
        return fields[name]
    except KeyError:
        raise MalformedHeader(name) from None


def _matching(pattern: re.Pattern[str], fields: dict[str, str], name: str) -> str:
    value = _required(fields, name)
    if pattern.fullmatch(value) is None:
        raise MalformedHeader(name)
    return value


def _lower_type(fields: dict[str, str], name: str) -> str:
    value = _required(fields, name).lower()
    if _TYPE.fullmatch(value) is None:
        raise MalformedHeader(name)
    return value


def _bytes(fields: dict[str, str], name: str, size: int) -> bytes:
    try:
        data = decode_base64(_required(fields, name), limit=size)
    except MalformedBase64:
        raise MalformedHeader(name) from None
    if len(data) != size:
        raise MalformedHeader(name)
    return data


def _application_key(fields: dict[str, str], name: str) -> str:
    _bytes(fields, name, 16)
    return fields[name]
