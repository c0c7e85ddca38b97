"""The glue between HTTP and the rooms; it knows no room.

A room's `api.py` has one function `routes(...) -> Routes`. It makes its handlers with four faces: `cloud` (PowerAuth
Cloud, `/powerauth-cloud`, internal), `mobile` (phones, `/enrollment-server`, public), `uds` (people, `/cucm-uds`,
public, XML) and `native` (our own API, `/api/v1`, internal). A face adds the prefix, says who may call, documents the
request in OpenAPI, and decides how errors look. A handler takes `request: Req` and, where it has one, the raw `body`;
`decode` turns that into a Struct or a clear refusal. `make_app` builds one of the two Litestar applications, `Listener`
serves it.
"""

from __future__ import annotations

from ringback.http.body import decode, is_too_deep
from ringback.http.end_users import Asked, EndUserAuthenticator, EndUserAuthenticators
from ringback.http.faces import Routes, cloud, mobile, native, uds
from ringback.http.guards import Authenticator, Req, asked_of, principal_of, remote_address
from ringback.http.idempotency import IdempotencyKeys
from ringback.http.listener import Certificate, Listener, bind_address
from ringback.http.paging import (
    DEFAULT_PAGE_SIZE,
    Cursor,
    Limit,
    PageNumber,
    PageSize,
    cut_page,
    make_cursor,
    open_cursor,
    rows_before,
)
from ringback.http.schema import Envelope, Ok
from ringback.http.xml import xml_document

__all__ = [
    "DEFAULT_PAGE_SIZE",
    "Asked",
    "Authenticator",
    "Certificate",
    "Cursor",
    "EndUserAuthenticator",
    "EndUserAuthenticators",
    "Envelope",
    "IdempotencyKeys",
    "Limit",
    "Listener",
    "Ok",
    "PageNumber",
    "PageSize",
    "Req",
    "Routes",
    "asked_of",
    "bind_address",
    "cloud",
    "cut_page",
    "decode",
    "is_too_deep",
    "make_cursor",
    "mobile",
    "native",
    "open_cursor",
    "principal_of",
    "remote_address",
    "rows_before",
    "uds",
    "xml_document",
]
