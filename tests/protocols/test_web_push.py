"""Web Push: the example of RFC 8291, subscriptions as browsers write them, and VAPID."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from ringback.protocols.base64url import from_base64url, to_base64url
from ringback.protocols.powerauth.keys import (
    generate_private_key,
    private_key_from_bytes,
    public_key_to_bytes,
)
from ringback.protocols.web_push import (
    BODY_BYTES,
    LONGEST_PLAINTEXT,
    Subscription,
    SubscriptionInvalid,
    WebPushRefused,
    decrypt,
    encrypt,
    parse_subscription,
    vapid_header,
)

# RFC 8291 §5 and appendix A.
TEXT = b"When I grow up, I want to be a watermelon"
SENDER = private_key_from_bytes(from_base64url(b"yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
RECEIVER = private_key_from_bytes(from_base64url(b"q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
SALT = from_base64url(b"DGv6ra1nlYgDCS1FRnbzlw")
ENDPOINT = "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV"
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
BODY = from_base64url(
    b"DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A"
    b"_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)
OFF_THE_CURVE = to_base64url(b"\x04" + bytes(63) + b"\x07").decode()


def _text(**changes: object) -> str:
    """What a browser writes, with changes: `endpoint`, `p256dh`, `auth`."""
    keys = {"p256dh": changes.pop("p256dh", P256DH), "auth": changes.pop("auth", AUTH)}
    return json.dumps({"endpoint": ENDPOINT, "expirationTime": None, "keys": keys, **changes})


def _by_btoa(key: str) -> str:
    """Base64 with padding (RFC 4648 §4) instead of base64url."""
    return base64.b64encode(from_base64url(key.encode())).decode()


SUBSCRIPTION = parse_subscription(_text())


def test_the_example_of_the_rfc() -> None:
    assert encrypt(TEXT, SUBSCRIPTION, private_key=SENDER, salt=SALT) == BODY
    assert decrypt(BODY, private_key=RECEIVER, auth=SUBSCRIPTION.auth) == TEXT


@given(plaintext=st.binary(max_size=LONGEST_PLAINTEXT), salt=st.binary(min_size=16, max_size=16))
def test_what_is_encrypted_is_decrypted(plaintext: bytes, salt: bytes) -> None:
    body = encrypt(plaintext, SUBSCRIPTION, private_key=SENDER, salt=salt)
    assert decrypt(body, private_key=RECEIVER, auth=SUBSCRIPTION.auth) == plaintext


def test_the_longest_message_fills_the_body_that_push_services_take() -> None:
    body = encrypt(b"\0" * LONGEST_PLAINTEXT, SUBSCRIPTION, private_key=SENDER, salt=SALT)
    assert len(body) == BODY_BYTES
    with pytest.raises(ValueError, match="3,993"):
        encrypt(b"\0" * (LONGEST_PLAINTEXT + 1), SUBSCRIPTION, private_key=SENDER, salt=SALT)


def test_every_changed_byte_is_noticed() -> None:
    for at in [*range(16), *range(20, len(BODY))]:
        changed = BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :]
        with pytest.raises(WebPushRefused):
            decrypt(changed, private_key=RECEIVER, auth=SUBSCRIPTION.auth)


@pytest.mark.parametrize("body", [b"", BODY[:86], BODY[:-1], BODY[:16] + bytes(4) + BODY[20:], BODY + bytes(4_096)])
def test_what_is_no_such_body_is_refused(body: bytes) -> None:
    with pytest.raises(WebPushRefused):
        decrypt(body, private_key=RECEIVER, auth=SUBSCRIPTION.auth)


def test_somebody_elses_key_or_secret_opens_nothing() -> None:
    with pytest.raises(WebPushRefused):
        decrypt(BODY, private_key=generate_private_key(), auth=SUBSCRIPTION.auth)
    with pytest.raises(WebPushRefused):
        decrypt(BODY, private_key=RECEIVER, auth=bytes(16))


def test_one_subscription_has_one_text() -> None:
    spellings = [
        _text(),
        _text(p256dh=P256DH + "=", auth=AUTH + "=="),
        # What a page writes that encodes the keys itself, by btoa().
        _text(p256dh=_by_btoa(P256DH), auth=_by_btoa(AUTH)),
        json.dumps({"keys": {"auth": AUTH, "p256dh": P256DH, "more": 1}, "endpoint": ENDPOINT}, indent=4),
    ]
    texts = {parse_subscription(spelling).text() for spelling in spellings}
    assert texts == {f'{{"endpoint":"{ENDPOINT}","keys":{{"p256dh":"{P256DH}","auth":"{AUTH}"}}}}'}
    assert parse_subscription(texts.pop()) == SUBSCRIPTION


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", ""),
        ("[]", ""),
        ("{", ""),
        ('{"endpoint": "' + "x" * 5_000 + '"}', ""),
        (json.dumps({"endpoint": ENDPOINT}), "keys"),
        (_text(keys="none"), "keys"),
        (_text(endpoint=None), "endpoint"),
        (_text(endpoint="http://push.example.net/1"), "endpoint"),
        (_text(endpoint="ftp://push.example.net/1"), "endpoint"),
        (_text(endpoint="https://"), "endpoint"),
        (_text(endpoint="https://user@push.example.net/1"), "endpoint"),
        (_text(endpoint="https://push.example.net/1#part"), "endpoint"),
        (_text(endpoint="https://push.example.net/a b"), "endpoint"),
        (_text(endpoint="https://push.example.net/\0"), "endpoint"),
        (_text(endpoint="https://push.example.net:99999/1"), "endpoint"),
        (_text(endpoint="https://[::1/1"), "endpoint"),
        (_text(endpoint="https://push.example.net/" + "x" * 2_048), "endpoint"),
        (_text(p256dh=None), "keys.p256dh"),
        (_text(p256dh=P256DH[:-4]), "keys.p256dh"),
        (_text(p256dh=OFF_THE_CURVE), "keys.p256dh"),
        (_text(p256dh=to_base64url(bytes(65)).decode()), "keys.p256dh"),
        (_text(p256dh=P256DH[:-1] + "*"), "keys.p256dh"),
        (_text(p256dh="=" + P256DH), "keys.p256dh"),
        (_text(auth=to_base64url(bytes(15)).decode()), "keys.auth"),
        (_text(auth="äöü"), "keys.auth"),
        (_text(auth=7), "keys.auth"),
    ],
)
def test_what_is_wrong_with_a_subscription_is_named(text: str, field: str) -> None:
    with pytest.raises(SubscriptionInvalid) as caught:
        parse_subscription(text)
    assert caught.value.field == field


@given(text=st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    with pytest.raises(SubscriptionInvalid):
        parse_subscription(text)


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        (ENDPOINT, "https://push.example.net"),
        ("https://push.example.net:443/1", "https://push.example.net"),
        ("https://Push.Example.net:8443/1", "https://push.example.net:8443"),
        ("https://[2001:db8::1]:8443/1", "https://[2001:db8::1]:8443"),
    ],
)
def test_the_origin_of_an_endpoint(endpoint: str, origin: str) -> None:
    assert parse_subscription(_text(endpoint=endpoint)).origin() == origin


def test_a_subscription_does_not_show_its_secrets() -> None:
    shown = repr(SUBSCRIPTION)
    assert shown == "Subscription(https://push.example.net)"


def test_the_vapid_header_is_a_jwt_that_the_named_key_signed() -> None:
    header = vapid_header(
        "https://push.example.net", subject="mailto:push@example.com", expires_at_s=1_800_000_000, private_key=SENDER
    )
    scheme, _, parameters = header.partition(" ")
    token, key = (part.partition("=")[2] for part in parameters.split(", "))
    assert scheme == "vapid"
    point = from_base64url(key.encode())
    assert point == public_key_to_bytes(SENDER.public_key())
    jwk = {"kty": "EC", "crv": "P-256", "x": to_base64url(point[1:33]).decode(), "y": to_base64url(point[33:]).decode()}
    read = jwt.decode(token, ECKey.import_key(jwk), algorithms=["ES256"])
    assert read.claims == {"aud": "https://push.example.net", "exp": 1_800_000_000, "sub": "mailto:push@example.com"}


def test_a_subscription_for_which_the_point_was_never_checked_is_refused_too() -> None:
    wrong = Subscription(ENDPOINT, b"\x04" + bytes(64), bytes(16))
    with pytest.raises(Exception, match="point of P-256"):
        encrypt(TEXT, wrong, private_key=SENDER, salt=SALT)
