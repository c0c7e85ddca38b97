"""What a phone asks that was woken: which call was that?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar.params import FromPath

from ringback.calls.schema import CallOfPush
from ringback.devices import MacTokenCheck, read_token_header
from ringback.errors import AuthenticationFailed, NotAuthenticated
from ringback.http import Req, Routes, native, principal_of
from ringback.protocols.powerauth.headers import TOKEN_HEADER

if TYPE_CHECKING:
    from ringback.calls.by_notification import ByNotification
    from ringback.calls.needs import Phones
    from ringback.store import Store

TAG = "Calls"


def routes(store: Store, by_notification: ByNotification, phones: Phones) -> Routes:
    """The handler."""

    @native.get(
        "/calls/by-notification/{push_id:str}",
        tag=TAG,
        operation_id="getCallByNotification",
        summary="The Call-ID of the call that a phone was pushed for: for that phone, or its user, while it rings.",
        role="user",
        schemes=("digest", "basic"),
        instead=TOKEN_HEADER,
    )
    async def get_call(request: Req, push_id: FromPath[str]) -> CallOfPush:
        if TOKEN_HEADER in request.headers:
            registration_id = await registration_of(request)
            return CallOfPush(await by_notification.for_registration(push_id, registration_id))
        return CallOfPush(await by_notification.for_user(push_id, principal_of(request).name))

    async def registration_of(request: Req) -> str:
        """The registration whose MAC token is shown."""
        try:
            check = MacTokenCheck(read_token_header(request.headers))
        except AuthenticationFailed as error:
            raise NotAuthenticated(_REFUSED, cause=error) from error
        outcome = await store.write(phones.check_mac_token, check)
        if not outcome.valid:
            raise NotAuthenticated(_REFUSED)
        return outcome.registration_id

    return Routes(public=[get_call])


_REFUSED = f"{TOKEN_HEADER} proves no active registration."
