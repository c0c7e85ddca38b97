"""Operation templates: the native API's units, and the two that every installation starts with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ringback.errors import NativeTemplateNotFound, TemplateExists, invalid_field
from ringback.languages import DEFAULT_LANGUAGE
from ringback.operations import queries
from ringback.operations.model import Template
from ringback.operations.schema_native import OperationTemplate, SignatureType, TemplateContent
from ringback.operations.schema_texts import AmountText, KeyValueText, TemplateTexts, TextsContent
from ringback.operations.texts import (
    CACHE_ENTRIES,
    CACHE_MS,
    ByLanguage,
    ReadyTextsCache,
    delete_texts_in,
    replace_texts,
    save_texts,
    texts_in,
    texts_of,
)
from ringback.principal import Principal, job
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.clock import Clock

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode
SUBJECT = "operation_template"

# PowerAuth sandbox: the templates `login` and `payment`.
SEEDS = (
    OperationTemplate(
        name="login",
        operation_type="login",
        data_template="A2",
        texts=[TemplateTexts(language=DEFAULT_LANGUAGE, title="Log in", message="Do you want to log in?")],
    ),
    OperationTemplate(
        name="payment",
        operation_type="authorize_payment",
        data_template="A1*A${amount}${currency}*I${iban}",
        texts=[
            TemplateTexts(
                language=DEFAULT_LANGUAGE,
                title="Approve payment",
                message="Do you want to pay ${amount} ${currency} to ${iban}?",
                attributes=(
                    AmountText(id="operation.amount", label="Amount", amount="${amount}", currency="${currency}"),
                    KeyValueText(id="operation.iban", label="To account", value="${iban}"),
                ),
            ),
        ],
    ),
)


class TemplatesService:
    """Templates. Methods whose first argument is `tx` are units of work.

    What operations are made from is a setting: kept for less than two seconds, and forgotten at once by the process
    that changed it (`forget`, after COMMIT).
    """

    def __init__(self, *, clock: Clock, audit: AuditLog) -> None:
        self._clock = clock
        self._audit = audit
        self._cached: dict[str, tuple[int, Template]] = {}
        self._texts = ReadyTextsCache(clock=clock)

    async def for_creation(self, tx: Tx, name: str) -> Template | None:
        """A template; None when there is none of this name."""
        now = self._clock.now_ms()
        cached = self._cached.get(name)
        if cached is not None and 0 <= now - cached[0] < CACHE_MS:
            return cached[1]
        found = await tx.one(queries.template_for_creation, name)
        if found is not None:
            if len(self._cached) >= CACHE_ENTRIES:
                self._cached.clear()
            self._cached[name] = (now, found)
        return found

    async def ready_texts(self, tx: Tx, operation_type: str) -> ByLanguage:
        """The texts of an operation type by language, ready to be filled in."""
        return await self._texts.by_language(tx, operation_type)

    def forget(self) -> None:
        """Drops what is cached: a template, or its texts, were changed."""
        self._cached.clear()
        self._texts.forget()

    async def seed_templates(self, tx: Tx) -> None:
        """Writes `login` and `payment` when there is no template at all; what was deleted stays deleted."""
        if await tx.all(queries.templates_after, "", 1):
            return
        for template in SEEDS:
            await self._insert(tx, job("first start"), template)

    async def page(self, tx: Tx, after: str, limit: int) -> list[OperationTemplate]:
        """Up to `limit` templates whose names come after `after`."""
        return [await self._shown(tx, one) for one in await tx.all(queries.templates_after, after, limit)]

    async def get(self, tx: Tx, name: str) -> OperationTemplate:
        """One template. Raises NativeTemplateNotFound."""
        return await self._shown(tx, await self._find(tx, name))

    async def create(self, tx: Tx, principal: Principal, template: OperationTemplate) -> OperationTemplate:
        """A new template. Raises TemplateExists."""
        _check(template)
        if await tx.one(queries.template_by_name, template.name) is not None:
            raise TemplateExists
        await self._insert(tx, principal, template)
        return template

    async def replace(self, tx: Tx, principal: Principal, name: str, content: TemplateContent) -> OperationTemplate:
        """Another content for a template; operations that exist keep theirs. Raises NativeTemplateNotFound."""
        replaced = OperationTemplate(name=name, **msgspec.structs.asdict(content))
        _check(replaced)
        before = await self._find(tx, name)
        sharing = await tx.all(queries.templates_of_type, before.operation_type)
        row = _row(replaced)
        await tx.run(
            queries.save_template,
            name,
            before.version,
            row.operation_type,
            row.data_template,
            row.signature_types,
            row.max_failure_count,
            row.expiration_s,
            row.risk_flags,
            row.proximity_check_enabled,
        )
        if before.operation_type != row.operation_type and len(sharing) == 1:
            await tx.run(queries.delete_texts, before.operation_type)
        await replace_texts(tx, replaced.operation_type, replaced.texts)
        await self._record(tx, principal, "replace", name)
        return replaced

    async def delete(self, tx: Tx, principal: Principal, name: str) -> None:
        """Forgets a template; operations made from it stay. Raises NativeTemplateNotFound."""
        template = await self._find(tx, name)
        sharing = await tx.all(queries.templates_of_type, template.operation_type)
        await tx.run(queries.delete_template, name, template.version)
        # Operations of this type that are pending still need their texts until they end: seconds to minutes. Without a
        # template nothing new is made, and a phone skips what it has no texts for, so they go with the last template.
        if len(sharing) == 1:
            await tx.run(queries.delete_texts, template.operation_type)
        await self._record(tx, principal, "delete", name)

    async def texts(self, tx: Tx, name: str, language: str) -> TemplateTexts:
        """The texts of a template in one language. Raises NativeTemplateNotFound, TextsNotFound."""
        return await texts_in(tx, (await self._find(tx, name)).operation_type, language)

    async def save_texts(
        self, tx: Tx, principal: Principal, name: str, language: str, content: TextsContent
    ) -> TemplateTexts:
        """New or other texts in one language. Raises NativeTemplateNotFound."""
        template = await self._find(tx, name)
        saved = await save_texts(tx, template.operation_type, language, content)
        await self._record(tx, principal, "save_texts", name, {"language": language})
        return saved

    async def delete_texts(self, tx: Tx, principal: Principal, name: str, language: str) -> None:
        """Forgets one language. Raises NativeTemplateNotFound, TextsNotFound, InvalidRequest for the last one."""
        template = await self._find(tx, name)
        await delete_texts_in(tx, template.operation_type, language)
        await self._record(tx, principal, "delete_texts", name, {"language": language})

    async def _find(self, tx: Tx, name: str) -> Template:
        template = await tx.one(queries.template_by_name, name)
        if template is None:
            raise NativeTemplateNotFound
        return template

    async def _shown(self, tx: Tx, template: Template) -> OperationTemplate:
        return OperationTemplate(
            name=template.name,
            operation_type=template.operation_type,
            data_template=template.data_template,
            signature_types=_decode(template.signature_types, type=tuple[SignatureType, ...]),
            max_failure_count=template.max_failure_count,
            expiration_seconds=template.expiration_s,
            risk_flags=template.risk_flags,
            proximity_check_enabled=template.proximity_check_enabled,
            texts=await texts_of(tx, template.operation_type),
        )

    async def _insert(self, tx: Tx, principal: Principal, template: OperationTemplate) -> None:
        row = _row(template)
        await tx.run(queries.insert_template, *msgspec.structs.astuple(row)[:-1])
        await replace_texts(tx, template.operation_type, template.texts)
        await self._record(tx, principal, "create", template.name)

    async def _record(
        self, tx: Tx, principal: Principal, what: str, name: str, details: dict[str, Any] | None = None
    ) -> None:
        await self._audit.record(
            tx, principal, f"{SUBJECT}.{what}", subject_kind=SUBJECT, subject_id=name, details=details
        )


def _row(template: OperationTemplate) -> Template:
    return Template(
        name=template.name,
        operation_type=template.operation_type,
        data_template=template.data_template,
        signature_types=_encode(template.signature_types).decode(),
        max_failure_count=template.max_failure_count,
        expiration_s=template.expiration_seconds,
        risk_flags=template.risk_flags,
        proximity_check_enabled=template.proximity_check_enabled,
        version=1,
    )


def _check(template: OperationTemplate) -> None:
    languages = [one.language for one in template.texts]
    if len(set(languages)) != len(languages):
        raise invalid_field("texts", "Each language may come once.")
