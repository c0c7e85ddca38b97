"""Lists of registrations, for back ends: PowerAuth Cloud's with its pages, and ours, which goes on from a cursor."""

from __future__ import annotations

from typing import Annotated, Any

from litestar.params import FromPath, FromQuery, QueryParameter

from ringback.devices.looking import Page, Selection
from ringback.devices.model import Status
from ringback.devices.schema import RegistrationDetail, RegistrationList
from ringback.devices.schema_looking import RegistrationPage
from ringback.devices.service import DevicesService
from ringback.http import (
    DEFAULT_PAGE_SIZE,
    Cursor,
    Limit,
    Req,
    Routes,
    cloud,
    make_cursor,
    native,
    open_cursor,
    principal_of,
    rows_before,
)
from ringback.store import Store

TAG = "Registrations"
_NAME: dict[str, Any] = {"min_length": 1, "max_length": 255, "pattern": r"^[^\x00]*$"}
_WAY_OUT = "GET /api/v1/registrations?userId=… goes on from a cursor, however many there are."


def routes(store: Store, devices: DevicesService) -> Routes:
    """The handlers."""

    @cloud.get(
        "/v2/registrations",
        tag=TAG,
        operation_id="getRegistrationList",
        summary="The registrations of a user, oldest first: up to 1,000, or a page of them.",
    )
    async def get_registration_list(
        request: Req,
        user_id: Annotated[str, QueryParameter(name="userId", **_NAME)],
        removed: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
        page_number: Annotated[int | None, QueryParameter(name="pageNumber", ge=0, le=2**31 - 1)] = None,
        page_size: Annotated[int | None, QueryParameter(name="pageSize", ge=1, le=1000)] = None,
    ) -> RegistrationList:
        principal = principal_of(request)
        if page_number is None and page_size is None:
            unit = devices.list_registrations
            return RegistrationList(await devices.look(store, unit, principal, user_id, removed))
        size = DEFAULT_PAGE_SIZE if page_size is None else page_size
        page = Page(rows_before(page_number or 0, size, _WAY_OUT), size)
        unit_of_page = devices.looking.page_of_user
        return RegistrationList(await devices.look(store, unit_of_page, principal, user_id, removed, page))

    @cloud.get(
        "/v2/registrations/{registration_id:str}",
        tag=TAG,
        operation_id="getRegistration",
        summary="One registration; with the activation code while it waits for the phone.",
    )
    async def get_registration(request: Req, registration_id: FromPath[str]) -> RegistrationDetail:
        return await devices.look(store, devices.registration_detail, principal_of(request), registration_id)

    @native.get(
        "/registrations",
        tag=TAG,
        operation_id="listRegistrations",
        summary="The registrations of a user or of an app, oldest first. A short page may have a nextCursor.",
        role="any",
    )
    async def list_registrations(
        request: Req,
        user_id: Annotated[str | None, QueryParameter(name="userId", **_NAME)] = None,
        app_id: Annotated[str | None, QueryParameter(name="appId", **_NAME)] = None,
        status: FromQuery[Status | None] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> RegistrationPage:
        selection = Selection(user_id, app_id, status or "", open_cursor(cursor))
        unit = devices.looking.walk
        found, after = await devices.look(store, unit, principal_of(request), selection, limit)
        return RegistrationPage(found, make_cursor(after) if after is not None else None)

    return Routes(internal=[get_registration_list, get_registration, list_registrations])
