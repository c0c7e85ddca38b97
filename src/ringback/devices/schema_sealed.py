"""What phones send and get inside envelopes, once they are activated: vault, detail, user info, upgrade."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

VaultReason = Literal[
    "ADD_BIOMETRY", "FETCH_ENCRYPTION_KEY", "SIGN_WITH_DEVICE_PRIVATE_KEY", "RECOVERY_CODE", "NOT_SPECIFIED"
]


class UnlockVault(msgspec.Struct, frozen=True):
    """POST /pa/v3/vault/unlock: what the vault is opened for."""

    reason: VaultReason | None = None
    """Absent = NOT_SPECIFIED."""


class UnlockedVault(msgspec.Struct, frozen=True, rename="camel"):
    """KEY_ENCRYPTION_VAULT under KEY_TRANSPORT, Base64 of 32 bytes."""

    encrypted_vault_encryption_key: str


class Nothing(msgspec.Struct, frozen=True):
    """`{}`: the request says nothing."""


class RenameActivation(msgspec.Struct, frozen=True, rename="camel"):
    """POST /pa/v3/activation/rename."""

    activation_name: Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]


class ActivationDetail(msgspec.Struct, frozen=True, rename="camel"):
    """What a phone is called."""

    activation_id: str
    activation_name: str | None


class ActivationDetailAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Answer of activation/detail and activation/rename.

    The reference server wraps the detail as it wraps plain answers; its notes print it bare. Both readers find it.
    """

    activation_id: str
    activation_name: str | None
    response_object: ActivationDetail
    status: str = "OK"


class UserInfoAnswer(msgspec.Struct, frozen=True):
    """Answer of user/info: these three, and whatever claims the back end stored (OpenID Connect Core §5.1)."""

    sub: str
    jti: str
    iat: int
