"""Multi-factor signatures. Source: PowerAuth specification, "Computing and Validating Signatures".

Component i starts from key[i], not from key[0] as the printed pseudo code has it; the published vectors agree.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote_plus

import msgspec

from ringback.protocols.powerauth.base64_text import decode_base64, encode_base64
from ringback.protocols.powerauth.derived_keys import ActivationKeys
from ringback.protocols.powerauth.errors import MalformedBase64, UnknownSignatureType
from ringback.protocols.powerauth.fingerprint import decimal_digits
from ringback.protocols.powerauth.primitives import next_counter
from ringback.protocols.powerauth.versions import ProtocolVersion

FACTORS = ("possession", "knowledge", "biometry")
"""Factors in the order in which their keys are chained."""

SIGNATURE_TYPES = (
    "possession",
    "knowledge",
    "biometry",
    "possession_knowledge",
    "possession_biometry",
    "possession_knowledge_biometry",
)

OFFLINE_SECRET = "offline"  # noqa: S105 - a literal of the specification, no secret
"""Stands where the application secret stands in online signatures."""

_DIGITS = re.compile(r"[0-9]+(?:-[0-9]+)*", re.ASCII)
_OFFLINE_SEPARATORS = str.maketrans("", "", "- ")


class SignatureMatch(msgspec.Struct, frozen=True):
    """Where in the look-ahead window the signature was found."""

    offset: int
    """0 when the phone's counter equals ours; numeric counter after success = ours + offset + 1."""
    next_counter: bytes
    """The counter to store, 16 bytes: the one after the matching one."""


def normalized_data(method: str, uri_id: str, nonce: bytes, body: bytes, application_secret: str) -> bytes:
    """What is signed ("Normalized Data"): METHOD & B64(uriId) & B64(nonce) & B64(body) & secret.

    body: the raw request body; for GET the result of `canonical_query`. application_secret: its Base64 text, or
    OFFLINE_SECRET.
    """
    parts = (method.upper(), encode_base64(uri_id.encode("utf-8")), encode_base64(nonce), encode_base64(body))
    return "&".join((*parts, application_secret)).encode("utf-8")


def canonical_query(params: Mapping[str, str] | Iterable[tuple[str, str]]) -> bytes:
    """The body of a GET request for signing ("Normalized Data", GET requests).

    params: decoded names and values. Sorted by name, then value, in UTF-16 order as Java sorts; form-encoded; joined
    with `&`. No parameters give no bytes.
    """
    pairs = params.items() if isinstance(params, Mapping) else params
    ordered = sorted(pairs, key=lambda pair: (_utf16(pair[0]), _utf16(pair[1])))
    return "&".join(f"{_form_encode(name)}={_form_encode(value)}" for name, value in ordered).encode("ascii")


def factor_keys(keys: ActivationKeys, signature_type: str) -> tuple[bytes, ...]:
    """Keys of the factors in `signature_type`, in the order of FACTORS. Raises UnknownSignatureType."""
    if signature_type not in SIGNATURE_TYPES:
        raise UnknownSignatureType
    return tuple(getattr(keys, factor) for factor in signature_type.split("_"))


def compute_components(keys: tuple[bytes, ...], counter: bytes, data: bytes) -> tuple[bytes, ...]:
    """One 32-byte component per key ("Computing and Validating Signatures", signature components).

    keys: 1 to 3 keys of 16 bytes; counter: CTR_DATA, 16 bytes; data: normalized data.
    """
    mac = hmac.digest
    first = mac(keys[0], counter, "sha256")
    if len(keys) == 1:
        return (mac(first, data, "sha256"),)
    # The derived values HMAC(key[j+1], ctr) serve every later component, so each is computed once.
    derived = [mac(key, counter, "sha256") for key in keys[1:]]
    components = [mac(first, data, "sha256")]
    for index, start in enumerate(derived, start=1):
        chained = start
        for step in derived[:index]:
            chained = mac(step, chained, "sha256")
        components.append(mac(chained, data, "sha256"))
    return tuple(components)


def format_signature(components: tuple[bytes, ...], version: ProtocolVersion) -> str:
    """Online signature as text: Base64 of the last 16 bytes of each component, or 8 decimal digits each (3.0)."""
    if version.signature_format == "base64":
        return encode_base64(_tails(components))
    return format_offline(components)


def format_offline(components: tuple[bytes, ...], digits: int = 8) -> str:
    """Offline signature ("Offline Signatures"): 4–8 decimal digits per component, joined by `-`. ValueError else."""
    if not 4 <= digits <= 8:
        raise ValueError("an offline signature has 4 to 8 digits per component")
    return "-".join(decimal_digits(component, digits) for component in components)


def verify_signature(
    keys: tuple[bytes, ...],
    counter: bytes,
    look_ahead: int,
    data: bytes,
    signature: str,
    version: ProtocolVersion,
) -> SignatureMatch | None:
    """Finds the counter under which `signature` was made ("Validating Signatures", counter look-ahead).

    keys: see `factor_keys`; counter: ours, 16 bytes; look_ahead: how many counters to try, from ours on (20); data:
    normalized data. A malformed signature is None at once, without any HMAC. Compared in constant time; which offset
    matched is no secret.
    """
    if version.signature_format == "base64":
        try:
            expected = decode_base64(signature, limit=16 * len(keys))
        except MalformedBase64:
            return None
        return _search(keys, counter, look_ahead, data, expected, _tails) if len(expected) == 16 * len(keys) else None
    if len(signature) != 9 * len(keys) - 1 or _DIGITS.fullmatch(signature) is None:
        return None
    return _search(keys, counter, look_ahead, data, signature.encode("ascii"), _decimal(8))


def verify_offline_signature(
    keys: tuple[bytes, ...],
    counter: bytes,
    look_ahead: int,
    data: bytes,
    signature: str,
    digits: int = 8,
) -> SignatureMatch | None:
    """As `verify_signature`, for a signature typed by a person ("Offline Signatures").

    People group digits as they like (4-4-4-4): dashes and spaces do not count, only the number of digits does.
    """
    if len(signature) > 64:
        return None
    typed = signature.translate(_OFFLINE_SEPARATORS)
    if len(typed) != digits * len(keys) or _DIGITS.fullmatch(typed) is None:
        return None
    grouped = "-".join(typed[at : at + digits] for at in range(0, len(typed), digits))
    return _search(keys, counter, look_ahead, data, grouped.encode("ascii"), _decimal(digits))


def _search(
    keys: tuple[bytes, ...],
    counter: bytes,
    look_ahead: int,
    data: bytes,
    expected: bytes,
    render: Callable[[tuple[bytes, ...]], bytes],
) -> SignatureMatch | None:
    for offset in range(look_ahead):
        following = next_counter(counter)
        if hmac.compare_digest(render(compute_components(keys, counter, data)), expected):
            return SignatureMatch(offset, following)
        counter = following
    return None


def _tails(components: tuple[bytes, ...]) -> bytes:
    return b"".join([component[16:] for component in components])


def _decimal(digits: int) -> Callable[[tuple[bytes, ...]], bytes]:
    return lambda components: format_offline(components, digits).encode("ascii")


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _form_encode(text: str) -> str:
    # java.net.URLEncoder: keeps `*`, escapes `~`; Python does the opposite.
    return quote_plus(text, safe="*", errors="replace").replace("~", "%7E")
