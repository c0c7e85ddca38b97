"""The SIP account in the phone's state."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import msgspec

from ringback.clock import Randomness, SystemRandomness

if TYPE_CHECKING:
    from ringback.softphone.sip_account import SipAccount
    from ringback.softphone.state import PhoneState, StateKeeper


def keep_account(
    keeper: StateKeeper, account: SipAccount | None, randomness: Randomness | None = None
) -> SipAccount | None:
    """Gives the phone this account, or takes its account away; returns it with the phone's own instance id.

    The instance id is made once and stays when the account changes (RFC 5626 §4.1). Raises NotActivated.
    """
    random = (randomness or SystemRandomness()).bytes

    def change(state: PhoneState) -> tuple[PhoneState, SipAccount | None]:
        kept = account
        if kept is not None and not kept.instance:
            known = state.sip_account.instance if state.sip_account is not None else ""
            instance = known or uuid.UUID(bytes=random(16), version=4).urn
            kept = msgspec.structs.replace(kept, instance=instance)
        return msgspec.structs.replace(state, sip_account=kept), kept

    return keeper.update(change)
