"""Texts by language: the native API's units for one language, and what phones are shown, ready and cached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.errors import TextsNotFound, invalid_field
from ringback.operations import queries
from ringback.operations.model import Texts
from ringback.operations.rendering import ReadyTexts
from ringback.operations.schema_texts import TemplateTexts, TextsContent
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.clock import Clock

CACHE_MS = 1_500
CACHE_ENTRIES = 1_000
ByLanguage = dict[str, ReadyTexts]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode


class ReadyTextsCache:
    """Texts are settings: kept for less than two seconds, and forgotten at once by the process that changed them."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._cached: dict[str, tuple[int, ByLanguage]] = {}

    async def by_language(self, tx: Tx, operation_type: str) -> ByLanguage:
        """The texts of an operation type; empty when it has none."""
        now = self._clock.now_ms()
        cached = self._cached.get(operation_type)
        if cached is not None and 0 <= now - cached[0] < CACHE_MS:
            return cached[1]
        found = {one.language: ReadyTexts(one) for one in await tx.all(queries.texts_of_type, operation_type)}
        if len(self._cached) >= CACHE_ENTRIES:
            self._cached.clear()
        self._cached[operation_type] = (now, found)
        return found

    def forget(self) -> None:
        """Drops what is cached."""
        self._cached.clear()


async def texts_of(tx: Tx, operation_type: str) -> list[TemplateTexts]:
    """Unit: all texts of an operation type, by language."""
    return [shown_texts(one) for one in await tx.all(queries.texts_of_type, operation_type)]


async def texts_in(tx: Tx, operation_type: str, language: str) -> TemplateTexts:
    """Unit: the texts in one language. Raises TextsNotFound."""
    for one in await texts_of(tx, operation_type):
        if one.language == language:
            return one
    raise TextsNotFound


async def replace_texts(tx: Tx, operation_type: str, texts: list[TemplateTexts]) -> None:
    """Unit: these texts and no others."""
    await tx.run(queries.delete_texts, operation_type)
    for one in texts:
        await tx.run(queries.insert_texts, *_row(operation_type, one))


async def save_texts(tx: Tx, operation_type: str, language: str, content: TextsContent) -> TemplateTexts:
    """Unit: the texts in one language; the other languages stay."""
    texts = TemplateTexts(
        language=language,
        title=content.title,
        message=content.message,
        attributes=content.attributes,
        ui=content.ui,
        result_texts=content.result_texts,
    )
    await tx.run(queries.save_texts, *_row(operation_type, texts))
    return texts


async def delete_texts_in(tx: Tx, operation_type: str, language: str) -> None:
    """Unit: forgets one language. Raises TextsNotFound, InvalidRequest for the last one."""
    languages = [one.language for one in await tx.all(queries.texts_of_type, operation_type)]
    if language not in languages:
        raise TextsNotFound
    if len(languages) == 1:
        raise invalid_field("language", "The last language stays: phones show nothing without texts.", language)
    await tx.run(queries.delete_texts_in, operation_type, language)


def shown_texts(texts: Texts) -> TemplateTexts:
    """A row as the native API shows it."""
    stored = {
        "language": texts.language,
        "title": texts.title,
        "message": texts.message,
        "attributes": _decode(texts.attributes),
        "ui": None if texts.ui is None else _decode(texts.ui),
        "resultTexts": None if texts.result_texts is None else _decode(texts.result_texts),
    }
    return msgspec.convert(stored, TemplateTexts)


def _row(operation_type: str, texts: TemplateTexts) -> tuple[str | None, ...]:
    ui, result_texts = (None if one is None else _encode(one).decode() for one in (texts.ui, texts.result_texts))
    attributes = _encode(texts.attributes).decode()
    return (operation_type, texts.language, texts.title, texts.message, attributes, ui, result_texts)
