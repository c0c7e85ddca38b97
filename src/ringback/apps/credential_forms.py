"""From what a developer has to a push credential: an APNs auth key, a service account, VAPID keys.

Everything is checked that can be checked without asking the provider; a refusal names the field. Certificates have a
file of their own.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ringback.apps.key_files import check_bundle_id, decoded, pem_of, private_key
from ringback.errors import InvalidRequest, invalid_field
from ringback.push import ApnsTokenKey, Environment, FcmServiceAccount, WebPushKeys, uncompressed_point

APPLE_ID = re.compile(r"[A-Z0-9]{10}")
PROJECT_ID = re.compile(r"([a-z0-9][a-z0-9.-]{1,80}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
EMAIL = re.compile(r"[A-Za-z0-9._+-]{1,100}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
ACCOUNT_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
SUBJECT = re.compile(r"mailto:[!-~]{1,200}@[!-~]{1,200}|https://[!-~]{1,750}")
KEY_BYTES = 32
_NO_PROJECT = "This is not the id of a Firebase project."


def apns_token_key(
    *,
    key_id: str,
    team_id: str,
    bundle_id: str,
    key_file: str,
    environment: Environment | None = None,
    names: Mapping[str, str] | None = None,
) -> ApnsTokenKey:
    """An APNs auth key. `key_file`: the .p8 file in Base64. Raises InvalidRequest that names the field.

    `names`: how another API than the native one calls its fields.
    """
    names = names or {}
    for field, value in (("keyId", key_id), ("teamId", team_id)):
        if not APPLE_ID.fullmatch(value):
            raise invalid_field(field, "It has 10 characters, A-Z and 0-9.", value)
    check_bundle_id(bundle_id, names.get("bundleId", "bundleId"))
    field = names.get("keyFile", "keyFile")
    key = private_key(decoded(key_file, field), field)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise invalid_field(field, "An APNs auth key is an elliptic curve key on P-256; this is another one.")
    return ApnsTokenKey(
        key_id=key_id, team_id=team_id, bundle_id=bundle_id, private_key=pem_of(key), environment=environment
    )


def fcm_service_account(
    service_account: str, *, field: str = "serviceAccount", project_id: str | None = None
) -> FcmServiceAccount:
    """A service account from Firebase's JSON file in Base64. Raises InvalidRequest that names the field.

    A field inside the file is named `serviceAccount.project_id`. `project_id`: the project that is pushed to, where
    that is not the account's own.
    """
    data = decoded(service_account, field)
    try:
        account = msgspec.json.decode(data, type=_ServiceAccount)
    except msgspec.ValidationError as error:
        raise _refused_account(field, str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid_field(field, "Decoded, it is not the JSON file of a service account.") from error
    for name, pattern, hint in (
        ("project_id", PROJECT_ID, _NO_PROJECT),
        ("private_key_id", ACCOUNT_KEY_ID, "This is not the id of a key."),
        ("client_email", EMAIL, "This is not the mail address of a service account."),
    ):
        if not pattern.fullmatch(getattr(account, name)):
            raise invalid_field(f"{field}.{name}", hint, getattr(account, name))
    if project_id is not None and not PROJECT_ID.fullmatch(project_id):
        raise invalid_field("projectId", _NO_PROJECT, project_id)
    key = private_key(account.private_key.encode(), f"{field}.private_key")
    if not isinstance(key, rsa.RSAPrivateKey):
        hint = "The key of a service account is an RSA key; this is another one."
        raise invalid_field(f"{field}.private_key", hint)
    return FcmServiceAccount(
        project_id=project_id or account.project_id,
        client_email=account.client_email,
        private_key_id=account.private_key_id,
        private_key=pem_of(key),
    )


def web_push_keys(subject: str, own_key: str | None = None) -> WebPushKeys:
    """VAPID keys, new ones unless `own_key` (base64url of 32 bytes) is given. Raises InvalidRequest."""
    if not SUBJECT.fullmatch(subject):
        raise invalid_field("subject", "It must be a mailto: or https: URL of whoever runs the app.", subject)
    key = ec.generate_private_key(ec.SECP256R1()) if own_key is None else _raw_key(own_key)
    return WebPushKeys(public_key=uncompressed_point(key), private_key=pem_of(key), subject=subject)


class _ServiceAccount(msgspec.Struct, frozen=True):
    """Firebase's file, as far as it is used: `token_uri` is not."""

    type: Literal["service_account"]
    project_id: str
    private_key_id: str
    private_key: Annotated[str, msgspec.Meta(min_length=1, max_length=16_384)]
    client_email: str


def _refused_account(field: str, text: str) -> InvalidRequest:
    """msgspec says ``Object missing required field `x` `` or ``Expected `str`, got `int` - at `$.x` ``."""
    hint, _, path = text.partition(" - at `$")
    missing = re.search(r"missing required field `(.+)`", hint)
    if missing:
        return invalid_field(f"{field}.{missing[1]}", "This field is required.")
    return invalid_field(field + path.rstrip("`"), f"{hint}.")


def _raw_key(text: str) -> ec.EllipticCurvePrivateKey:
    try:
        raw = base64.b64decode(text.rstrip("=") + "=", altchars=b"-_", validate=True)
        number = int.from_bytes(raw, "big") if len(raw) == KEY_BYTES else 0  # which is no key
        return ec.derive_private_key(number, ec.SECP256R1())
    except (binascii.Error, ValueError) as error:
        raise invalid_field("privateKey", "It must be 32 bytes in base64url: a private key on P-256.") from error
