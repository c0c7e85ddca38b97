"""A phone's header fields, or the refusal in the phone's words."""

from __future__ import annotations

from collections.abc import Mapping

from ringback.errors import EncryptionFailed, HttpHeaderMissing, MacTokenInvalid, SignatureInvalid
from ringback.protocols.powerauth.errors import PowerAuthProtocolError
from ringback.protocols.powerauth.headers import (
    ENCRYPTION_HEADER,
    SIGNATURE_HEADER,
    TOKEN_HEADER,
    EncryptionHeader,
    SignatureHeader,
    TokenHeader,
    parse_encryption_header,
    parse_signature_header,
    parse_token_header,
)


def read_signature_header(headers: Mapping[str, str]) -> SignatureHeader:
    """X-PowerAuth-Authorization. Raises HttpHeaderMissing, SignatureInvalid."""
    text = headers.get(SIGNATURE_HEADER)
    if not text:
        raise HttpHeaderMissing
    try:
        return parse_signature_header(text)
    except PowerAuthProtocolError as error:
        raise SignatureInvalid(cause=error) from error


def read_token_header(headers: Mapping[str, str]) -> TokenHeader:
    """X-PowerAuth-Token. Raises HttpHeaderMissing, MacTokenInvalid."""
    text = headers.get(TOKEN_HEADER)
    if not text:
        raise HttpHeaderMissing
    try:
        return parse_token_header(text)
    except PowerAuthProtocolError as error:
        raise MacTokenInvalid(cause=error) from error


def read_encryption_header(headers: Mapping[str, str]) -> EncryptionHeader:
    """X-PowerAuth-Encryption. Raises EncryptionFailed."""
    try:
        return parse_encryption_header(headers.get(ENCRYPTION_HEADER, ""))
    except PowerAuthProtocolError as error:
        raise EncryptionFailed(cause=error) from error
