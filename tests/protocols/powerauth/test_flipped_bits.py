"""One flipped bit anywhere is refused."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator

import msgspec
import pytest

from ringback.protocols.powerauth import (
    activation_code,
    base64_text,
    ecies,
    ecies_client,
    ecies_server,
    headers,
    keys,
    signature,
    temporary_key,
    temporary_key_client,
    temporary_key_server,
)
from ringback.protocols.powerauth.errors import EnvelopeRefused, JwtRefused, PowerAuthProtocolError
from ringback.protocols.powerauth.versions import PROTOCOL_VERSIONS, ProtocolVersion

SERVER = keys.private_key_from_bytes(bytes(range(1, 33)))
BASE = ecies.application_base("c2VjcmV0")
APP_KEY = base64.b64encode(bytes(range(16))).decode()
CHALLENGE = base64.b64encode(bytes(18)).decode()


def flipped_text(text: str) -> Iterator[str]:
    """Every neighbour of `text` that differs in one of the seven bits of one character."""
    for at, character in enumerate(text):
        for bit in range(7):
            yield text[:at] + chr(ord(character) ^ 1 << bit) + text[at + 1 :]


def sealed(version: ProtocolVersion) -> tuple[ecies.EciesEnvelope, ecies_client.EciesClientSession]:
    return ecies_client.seal_request(
        b'{"amount":"100"}',
        version=version,
        public_key=SERVER.public_key(),
        shared_info1=ecies.SH1_APPLICATION,
        base=BASE,
        application_key=APP_KEY,
        random=lambda count: b"\1" * count,
        now_ms=1731000000123,
        temporary_key_id="0f3a1c62" if version.temporary_keys else None,
        ephemeral_key=keys.private_key_from_bytes(bytes(range(2, 34))),
    )


def opened(envelope: ecies.EciesEnvelope, version: ProtocolVersion) -> tuple[bytes, ecies_server.EciesSession]:
    return ecies_server.open_request(
        envelope,
        version=version,
        private_key=SERVER,
        shared_info1=ecies.SH1_APPLICATION,
        base=BASE,
        application_key=APP_KEY,
    )


def fields(message: msgspec.Struct) -> Iterator[msgspec.Struct]:
    """Every message with one flipped bit in one field that is there."""
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if isinstance(value, str):
            for text in flipped_text(value):
                yield msgspec.structs.replace(message, **{name: text})
        elif isinstance(value, int):
            for bit in range(64):
                yield msgspec.structs.replace(message, **{name: value ^ 1 << bit})
            yield msgspec.structs.replace(message, **{name: -value})
            yield msgspec.structs.replace(message, **{name: value << 64})


@pytest.mark.parametrize("version", PROTOCOL_VERSIONS.values(), ids=lambda version: version.text)
def test_ecies_request(version: ProtocolVersion) -> None:
    envelope, _ = sealed(version)
    plaintext, _ = opened(envelope, version)
    for other in fields(envelope):
        assert isinstance(other, ecies.EciesEnvelope)
        try:
            changed, _ = opened(other, version)
        except EnvelopeRefused:
            continue
        # In 3.1 the MAC does not cover the nonce: a changed one garbles the first block, and nobody can see it.
        assert version.text == "3.1"
        assert other.nonce != envelope.nonce
        assert changed != plaintext


@pytest.mark.parametrize("version", PROTOCOL_VERSIONS.values(), ids=lambda version: version.text)
def test_ecies_response(version: ProtocolVersion) -> None:
    envelope, client = sealed(version)
    _, server = opened(envelope, version)
    response = server.seal_response(b"answer", lambda count: b"\2" * count, 1731000000456)
    assert client.open_response(response) == b"answer"
    for other in fields(response):
        assert isinstance(other, ecies.EciesResponse)
        with pytest.raises(EnvelopeRefused):
            client.open_response(other)


@pytest.mark.parametrize("version", PROTOCOL_VERSIONS.values(), ids=lambda version: version.text)
def test_an_envelope_has_exactly_the_fields_of_its_version(version: ProtocolVersion) -> None:
    envelope, client = sealed(version)
    _, server = opened(envelope, version)
    response = server.seal_response(b"answer", lambda count: b"\2" * count, 1731000000456)
    extra = {"temporary_key_id": "x", "nonce": base64.b64encode(bytes(16)).decode(), "timestamp": 1}
    for name, value in extra.items():
        wrong = None if getattr(envelope, name) is not None else value
        with pytest.raises(EnvelopeRefused):
            opened(msgspec.structs.replace(envelope, **{name: wrong}), version)
        if name != "temporary_key_id":
            wrong = None if getattr(response, name) is not None else value
            with pytest.raises(EnvelopeRefused):
                client.open_response(msgspec.structs.replace(response, **{name: wrong}))


def test_an_envelope_is_bound_to_its_version_endpoint_application_and_activation() -> None:
    version = PROTOCOL_VERSIONS["3.2"]
    envelope, _ = sealed(version)
    right = {"version": version, "private_key": SERVER, "shared_info1": ecies.SH1_APPLICATION, "base": BASE}
    right |= {"application_key": APP_KEY, "activation_id": None}
    ecies_server.open_request(envelope, **right)  # type: ignore[arg-type]
    wrong = {
        "private_key": keys.generate_private_key(),
        "shared_info1": ecies.SH1_ACTIVATION,
        "base": bytes(32),
        "application_key": "other",
        "activation_id": "a",
        "version": PROTOCOL_VERSIONS["3.1"],
    }
    for name, value in wrong.items():
        with pytest.raises(EnvelopeRefused):
            ecies_server.open_request(envelope, **(right | {name: value}))  # type: ignore[arg-type]


def test_the_nonce_of_a_response_is_never_that_of_the_request() -> None:
    version = PROTOCOL_VERSIONS["3.3"]
    envelope, client = sealed(version)
    _, server = opened(envelope, version)
    draws = iter((b"\1" * 16, b"\1" * 16, b"\3" * 16))
    response = server.seal_response(b"", lambda _: next(draws), 1)
    assert base64.b64decode(response.nonce or "") == b"\3" * 16
    repeated = msgspec.structs.replace(response, nonce=envelope.nonce)
    with pytest.raises(EnvelopeRefused):
        client.open_response(repeated)


def test_oversize_data_is_refused_before_it_is_decoded() -> None:
    version = PROTOCOL_VERSIONS["3.3"]
    envelope, _ = sealed(version)
    big = base64.b64encode(bytes(ecies.MAX_CIPHERTEXT + 16)).decode()
    with pytest.raises(EnvelopeRefused):
        opened(msgspec.structs.replace(envelope, encrypted_data=big), version)


def test_temporary_key_request() -> None:
    jwt, _ = temporary_key_client.build_temporary_key_request(
        application_key=APP_KEY, hmac_key=bytes(16), random=bytes, activation_id="a"
    )
    temporary_key_server.verify_temporary_key_request(jwt, bytes(16))
    for other in flipped_text(jwt):
        with pytest.raises(JwtRefused):
            temporary_key_server.verify_temporary_key_request(other, bytes(16))


def response_claims() -> temporary_key.TemporaryKeyResponseClaims:
    return temporary_key.TemporaryKeyResponseClaims(
        sub="id",
        application_key=APP_KEY,
        challenge=CHALLENGE,
        public_key=base64.b64encode(keys.public_key_to_bytes(SERVER.public_key())).decode(),
        iat=1,
        exp=301,
        iat_ms=1000,
        exp_ms=301000,
    )


def test_temporary_key_response() -> None:
    jwt = temporary_key_server.build_temporary_key_response(SERVER, response_claims())

    def verify(text: str) -> None:
        temporary_key_client.verify_temporary_key_response(
            text, SERVER.public_key(), application_key=APP_KEY, challenge=CHALLENGE
        )

    verify(jwt)
    for other in flipped_text(jwt):
        with pytest.raises(JwtRefused):
            verify(other)


@pytest.mark.parametrize("change", [{"application_key": "x"}, {"challenge": "x"}, {"activation_id": "x"}])
def test_the_phone_compares_what_is_echoed(change: dict[str, str]) -> None:
    jwt = temporary_key_server.build_temporary_key_response(SERVER, response_claims())
    expected = {"application_key": APP_KEY, "challenge": CHALLENGE} | change
    with pytest.raises(JwtRefused):
        temporary_key_client.verify_temporary_key_response(jwt, SERVER.public_key(), **expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "accepted"),
    [({"alg": "HS256", "typ": "JWT"}, True), ({"alg": "HS256"}, True), ({"alg": "HS256", "typ": "JOSE"}, False)],
)
def test_a_phone_may_leave_the_type_of_its_jwt_out(header: dict[str, str], accepted: bool) -> None:
    """The Java client does; RFC 7519 §5.1 allows it. The other way round the SDKs insist on it."""
    claims = temporary_key.TemporaryKeyRequestClaims(APP_KEY, CHALLENGE)
    parts = (base64_text.encode_base64url(msgspec.json.encode(part)) for part in (header, claims))
    signed = ".".join(parts)
    jwt = f"{signed}.{base64_text.encode_base64url(hmac.digest(bytes(16), signed.encode(), 'sha256'))}"
    if accepted:
        assert temporary_key_server.verify_temporary_key_request(jwt, bytes(16)) == claims
    else:
        with pytest.raises(JwtRefused):
            temporary_key_server.verify_temporary_key_request(jwt, bytes(16))


def test_the_server_says_the_type_of_its_jwt() -> None:
    jwt = temporary_key_server.build_temporary_key_response(SERVER, response_claims())
    header, rest = jwt.split(".", 1)
    assert msgspec.json.decode(base64_text.decode_base64url(header, limit=100)) == {"alg": "ES256", "typ": "JWT"}
    untyped = base64_text.encode_base64url(b'{"alg":"ES256"}')
    signed = f"{untyped}.{rest.split('.')[0]}"
    proof = base64_text.encode_base64url(keys.sign_jose(SERVER, signed.encode()))
    with pytest.raises(JwtRefused):
        temporary_key_client.verify_temporary_key_response(
            f"{signed}.{proof}", SERVER.public_key(), application_key=APP_KEY, challenge=CHALLENGE
        )


def test_an_unsigned_jwt_and_a_foreign_algorithm_are_refused() -> None:
    claims = temporary_key.TemporaryKeyRequestClaims(APP_KEY, CHALLENGE)
    for algorithm in ("none", "HS512", "hs256", "ES256"):
        with pytest.raises(JwtRefused):
            temporary_key_server.parse_temporary_key_request(temporary_key.signing_input(algorithm, claims) + ".AAAA")


def test_signature_header() -> None:
    """The header is refused, or says something else; its signature then belongs to other data or another activation."""
    factors = (bytes(16), bytes(range(16)))
    version = PROTOCOL_VERSIONS["3.3"]

    def data(header: headers.SignatureHeader) -> bytes:
        return signature.normalized_data("POST", "/x", header.nonce, b"{}", "secret of " + header.application_key)

    plain = headers.SignatureHeader(version, "activation", APP_KEY, bytes(16), "possession_knowledge", "")
    proof = signature.format_signature(signature.compute_components(factors, bytes(16), data(plain)), version)
    header = msgspec.structs.replace(plain, signature=proof)
    for text in flipped_text(headers.build_signature_header(header)):
        try:
            other = headers.parse_signature_header(text)
        except PowerAuthProtocolError:
            continue
        # The specification compares the type without regard to case, and neither version nor activation is signed:
        # the version only selects a format that 3.1 to 3.3 share, the activation selects the keys.
        if msgspec.structs.replace(other, version=version, activation_id="activation") == header:
            continue
        if other.signature_type not in signature.SIGNATURE_TYPES:
            continue
        assert signature.verify_signature(factors, bytes(16), 20, data(other), other.signature, other.version) is None


def test_activation_code() -> None:
    for seed in range(20):
        code = activation_code.generate_activation_code(lambda count, seed=seed: bytes([seed * 13 & 255]) * count)
        raw = base64.b32decode(code.replace("-", "") + "====")
        for bit in range(96):
            changed = (int.from_bytes(raw, "big") ^ 1 << bit).to_bytes(12, "big")
            spelled = base64.b32encode(changed).decode()[:20]
            assert not activation_code.is_activation_code("-".join(spelled[at : at + 5] for at in range(0, 20, 5)))
        for text in flipped_text(code):
            assert not activation_code.is_activation_code(text)


def test_an_activation_code_has_one_spelling() -> None:
    """20 characters hold 100 bits; the four that are left over must be zero."""
    code = activation_code.generate_activation_code(lambda count: bytes(range(count)))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    last = alphabet.index(code[-1])
    assert last % 16 == 0
    for left_over in range(1, 16):
        assert not activation_code.is_activation_code(code[:-1] + alphabet[last + left_over])


@pytest.mark.parametrize("payload", [b"\xff", b'{"a":"\xff"}', b'{"a":' + b"[" * 2900, b"[]", b"{}", b"null", b""])
def test_whatever_is_no_claim_is_refused(payload: bytes) -> None:
    header = temporary_key.signing_input("HS256", temporary_key.JwtHeader("", "")).split(".")[0]
    signed = f"{header}.{base64_text.encode_base64url(payload)}"
    proof = base64_text.encode_base64url(hmac.digest(bytes(16), signed.encode(), "sha256"))
    with pytest.raises(JwtRefused):
        temporary_key_server.verify_temporary_key_request(f"{signed}.{proof}", bytes(16))
