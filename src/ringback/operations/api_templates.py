"""The native API: operation templates (role admin)."""

from __future__ import annotations

from litestar.params import FromPath, RawBody

from ringback.http import (
    Cursor,
    IdempotencyKeys,
    Limit,
    Ok,
    Req,
    Routes,
    cut_page,
    decode,
    native,
    open_cursor,
    principal_of,
)
from ringback.operations.schema_native import OperationTemplate, TemplateContent, TemplatePage
from ringback.operations.templates import TemplatesService
from ringback.store import Store

TAG = "Operation templates"
IDEMPOTENCY_KEY = "Idempotency-Key"


def routes(store: Store, templates: TemplatesService, keys: IdempotencyKeys) -> Routes:
    """The handlers."""

    @native.get("/operation-templates", tag=TAG, operation_id="listOperationTemplates")
    async def list_templates(limit: Limit = 50, cursor: Cursor = "") -> TemplatePage:
        found = await store.read(templates.page, open_cursor(cursor), limit + 1)
        return TemplatePage(*cut_page(found, limit, lambda template: template.name))

    @native.get("/operation-templates/{name:str}", tag=TAG, operation_id="getOperationTemplate")
    async def get_template(name: FromPath[str]) -> OperationTemplate:
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
    async def create_template(request: Req, body: RawBody) -> OperationTemplate:
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
    async def replace_template(request: Req, name: FromPath[str], body: RawBody) -> OperationTemplate:
        content = decode(body, TemplateContent)
        replaced = await store.write(templates.replace, principal_of(request), name, content)
        templates.forget()
        return replaced

    @native.delete("/operation-templates/{name:str}", tag=TAG, operation_id="deleteOperationTemplate")
    async def delete_template(request: Req, name: FromPath[str]) -> Ok:
        await store.write(templates.delete, principal_of(request), name)
        templates.forget()
        return Ok()

    return Routes(internal=[list_templates, get_template, create_template, replace_template, delete_template])
