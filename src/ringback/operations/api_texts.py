"""The native API: a template's texts in one language (role admin)."""

from __future__ import annotations

from typing import Annotated

from litestar.params import FromPath, PathParameter, RawBody

from ringback.http import Ok, Req, Routes, decode, native, principal_of
from ringback.operations.schema_texts import LANGUAGE_PATTERN, TemplateTexts, TextsContent
from ringback.operations.templates import TemplatesService
from ringback.store import Store

TAG = "Operation templates"
PATH = "/operation-templates/{name:str}/texts/{language:str}"
Language = Annotated[str, PathParameter(pattern=LANGUAGE_PATTERN)]


def routes(store: Store, templates: TemplatesService) -> Routes:
    """The handlers."""

    @native.get(PATH, tag=TAG, operation_id="getOperationTexts")
    async def get_texts(name: FromPath[str], language: Language) -> TemplateTexts:
        return await store.read(templates.texts, name, language)

    @native.put(
        PATH,
        tag=TAG,
        operation_id="putOperationTexts",
        summary="Templates of one operationType share the texts.",
        request=TextsContent,
    )
    async def put_texts(request: Req, name: FromPath[str], language: Language, body: RawBody) -> TemplateTexts:
        content = decode(body, TextsContent)
        saved = await store.write(templates.save_texts, principal_of(request), name, language, content)
        templates.forget()
        return saved

    @native.delete(PATH, tag=TAG, operation_id="deleteOperationTexts")
    async def delete_texts(request: Req, name: FromPath[str], language: Language) -> Ok:
        await store.write(templates.delete_texts, principal_of(request), name, language)
        templates.forget()
        return Ok()

    return Routes(internal=[get_texts, put_texts, delete_texts])
