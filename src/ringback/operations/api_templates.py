"""The native API: operation templates (role admin)."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from litestar import Request
from litestar.params import QueryParameter

from ringback.errors import invalid_field
from ringback.http import IdempotencyKeys, Ok, Routes, decode, native, principal_of
from ringback.operations.schema_native import OperationTemplate, TemplateContent, TemplatePage
from ringback.operations.templates import TemplatesService
from ringback.store import Store

Req = Request[Any, Any, Any]
TAG = "Operation templates"
IDEMPOTENCY_KEY = "Idempotency-Key"


def routes(store: Store, templates: TemplatesService, keys: IdempotencyKeys) -> Routes:
    """The handlers."""

    @native.get("/operation-templates", tag=TAG, operation_id="listOperationTemplates")
    async def list_templates(
        limit: Annotated[int, QueryParameter(name="limit", ge=1, le=200)] = 50,
        cursor: Annotated[str, QueryParameter(name="cursor", max_length=2000)] = "",
    ) -> TemplatePage:
        found = await store.read(templates.page, _open_cursor(cursor), limit + 1)
        shown = found[:limit]
        return TemplatePage(shown, _make_cursor(shown[-1].name) if len(found) > limit else None)

    @native.get("/operation-templates/{name:str}", tag=TAG, operation_id="getOperationTemplate")
    async def get_template(name: str) -> OperationTemplate:
        return await store.read(templates.get, name)

    @native.post(
        "/operation-templates",
        tag=TAG,
        operation_id="createOperationTemplate",
        summary="With an Idempotency-Key the same request may be sent again: same content, same answer.",
        request=OperationTemplate,
        optional_header=(IDEMPOTENCY_KEY,),
        status=201,
    )
    async def create_template(request: Req, body: bytes) -> OperationTemplate:
        template = decode(body, OperationTemplate)
        principal = principal_of(request)
        created: OperationTemplate = await store.write(
            keys.once, request, body, OperationTemplate, templates.create, principal, template
        )
        templates.forget()
        return created

    @native.put(
        "/operation-templates/{name:str}",
        tag=TAG,
        operation_id="replaceOperationTemplate",
        request=TemplateContent,
    )
    async def replace_template(request: Req, name: str, body: bytes) -> OperationTemplate:
        content = decode(body, TemplateContent)
        replaced = await store.write(templates.replace, principal_of(request), name, content)
        templates.forget()
        return replaced

    @native.delete("/operation-templates/{name:str}", tag=TAG, operation_id="deleteOperationTemplate")
    async def delete_template(request: Req, name: str) -> Ok:
        await store.write(templates.delete, principal_of(request), name)
        templates.forget()
        return Ok()

    return Routes(internal=[list_templates, get_template, create_template, replace_template, delete_template])


def _make_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _open_cursor(cursor: str) -> str:
    try:
        name = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid_field("cursor", "Send the nextCursor of the page before.") from error
    return name.replace("\0", "")
