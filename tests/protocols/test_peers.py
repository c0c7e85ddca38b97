"""Our JWE and our Web Push bodies, read by implementations that are not ours, and theirs by us."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ringback.protocols import jwe
from ringback.protocols.powerauth.keys import (
    generate_private_key,
    private_key_to_bytes,
    public_key_to_bytes,
)
from ringback.protocols.web_push import LONGEST_PLAINTEXT, Subscription, decrypt, encrypt
from tests.peers.crypto import data, debian_jose, node, text

KEY = bytes(range(32))
PAYLOADS = [b"", b"{}", '{"type":"incomingcall","displayname":"Zoë 👋"}'.encode(), b"\0" * 3_000]


def _ours() -> list[str]:
    return [jwe.encrypt(payload, KEY, bytes([number]) * 12) for number, payload in enumerate(PAYLOADS)]


def test_npm_jose_decrypts_ours_and_refuses_what_was_changed() -> None:
    tokens = _ours()
    changed = [token[:-2] + ("AA" if token[-2:] != "AA" else "QQ") for token in tokens]
    tasks = [{"task": "jweDecrypt", "token": token, "key": text(KEY)} for token in (*tokens, *changed)]
    tasks.append({"task": "jweDecrypt", "token": tokens[1], "key": text(bytes(32))})
    answers = node(*tasks)
    assert [data(answer["payload"]) for answer in answers[: len(tokens)]] == PAYLOADS
    assert answers[0]["header"] == {"alg": "dir", "enc": "A256GCM"}
    assert {answer["error"] for answer in answers[len(tokens) :]} == {"ERR_JWE_DECRYPTION_FAILED"}


def test_we_decrypt_what_npm_jose_made() -> None:
    answers = node(*({"task": "jweEncrypt", "payload": text(payload), "key": text(KEY)} for payload in PAYLOADS))
    assert [jwe.decrypt(answer["token"], KEY) for answer in answers] == PAYLOADS
    with pytest.raises(jwe.JweRefused):
        jwe.decrypt(answers[1]["token"], bytes(32))


def test_debian_jose_decrypts_ours_and_refuses_what_was_changed(tmp_path: Path) -> None:
    for token, payload in zip(_ours(), PAYLOADS, strict=True):
        done = debian_jose("dec", KEY, token.encode(), tmp_path)
        assert (done.returncode, done.stdout) == (0, payload), done.stderr
    head, _, tag = token.rpartition(".")
    changed = f"{head}.{'A' if tag[0] != 'A' else 'B'}{tag[1:]}"
    assert debian_jose("dec", KEY, changed.encode(), tmp_path).returncode
    assert debian_jose("dec", bytes(32), token.encode(), tmp_path).returncode


def test_we_decrypt_what_debian_jose_made(tmp_path: Path) -> None:
    for payload in PAYLOADS[1:]:
        done = debian_jose("enc", KEY, payload, tmp_path)
        assert not done.returncode, done.stderr
        assert jwe.decrypt(done.stdout.decode().strip(), KEY) == payload


def _subscription() -> tuple[ec.EllipticCurvePrivateKey, Subscription]:
    key = generate_private_key()
    return key, Subscription("https://push.example.net/1", public_key_to_bytes(key.public_key()), bytes(range(16)))


def test_npm_http_ece_decrypts_our_web_push() -> None:
    key, subscription = _subscription()
    for payload in (b"{}", PAYLOADS[2], b"x" * LONGEST_PLAINTEXT):
        body = encrypt(payload, subscription, private_key=generate_private_key(), salt=bytes(range(16)))
        task = {
            "task": "webPushDecrypt",
            "body": text(body),
            "privateKey": text(private_key_to_bytes(key)),
            "auth": text(subscription.auth),
        }
        (answer,) = node(task)
        assert data(answer["payload"]) == payload


def test_we_decrypt_what_npm_web_push_made() -> None:
    key, subscription = _subscription()
    sender = generate_private_key()
    vapid = {
        "subject": "mailto:push@example.com",
        "publicKey": text(public_key_to_bytes(sender.public_key())),
        "privateKey": text(private_key_to_bytes(sender)),
    }
    task = {
        "task": "webPushEncrypt",
        "subscription": json.loads(subscription.text()),
        "payload": text(PAYLOADS[2]),
        "vapid": vapid,
    }
    (answer,) = node(task)
    assert decrypt(data(answer["body"]), private_key=key, auth=subscription.auth) == PAYLOADS[2]
    assert answer["headers"]["Content-Encoding"] == "aes128gcm"
    assert answer["headers"]["Authorization"].startswith("vapid t=")
