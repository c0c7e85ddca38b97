"""Operation templates: the native API's units, and the two that every installation starts with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.errors import NativeTemplateNotFound, TemplateExists, invalid_field
from ringback.operations import queries
from ringback.operations.model import DEFAULT_LANGUAGE, Template, Texts
from ringback.operations.schema_native import OperationTemplate, SignatureType, TemplateContent, TemplateTexts
from ringback.principal import Principal, job
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.clock import Clock
    from ringback.operations.queries import TemplateForCreation

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode
SUBJECT = "operation_template"

# PowerAuth sandbox: the templates `login` and `payment`.
SEEDS = (
    OperationTemplate(
        name="login",
        operation_type="login",
        data_template="A2",
        texts=[TemplateTexts(DEFAULT_LANGUAGE, "Log in", "Do you want to log in?")],
    ),
    OperationTemplate(
        name="payment",
        operation_type="authorize_payment",
        data_template="A1*A${amount}${currency}*I${iban}",
        texts=[
            TemplateTexts(
                DEFAULT_LANGUAGE,
                "Approve payment",
                "Do you want to pay ${amount} ${currency} to ${iban}?",
                attributes=[
                    {
                        "id": "operation.amount",
                        "type": "AMOUNT",
                        "label": "Amount",
                        "amount": "${amount}",
                        "currency": "${currency}",
                    },
                    {"id": "operation.iban", "type": "KEY_VALUE", "label": "To account", "value": "${iban}"},
                ],
            ),
        ],
    ),
)


CACHE_MS = 1_500
CACHE_ENTRIES = 1_000


class TemplatesService:
    """Templates. Methods whose first argument is `tx` are units of work.

    What operations are made from is a setting: kept for less than two seconds, and forgotten at once by the process
    that changed it (`forget`, after COMMIT).
    """

    def __init__(self, *, clock: Clock, audit: AuditLog) -> None:
        self._clock = clock
        self._audit = audit
        self._cached: dict[tuple[str, str], tuple[int, TemplateForCreation]] = {}

    async def for_creation(self, tx: Tx, name: str, language: str) -> TemplateForCreation | None:
        """A template with title and message in the language, or else in English; None when there is none."""
        now = self._clock.now_ms()
        cached = self._cached.get((name, language))
        if cached is not None and 0 <= now - cached[0] < CACHE_MS:
            return cached[1]
        found = await tx.one(queries.template_for_creation, name, language)
        if found is not None:
            if len(self._cached) >= CACHE_ENTRIES:
                self._cached.clear()
            self._cached[name, language] = (now, found)
        return found

    def forget(self) -> None:
        """Drops what is cached: a template was changed."""
        self._cached.clear()

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
        await self._write_texts(tx, replaced)
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

    async def _find(self, tx: Tx, name: str) -> Template:
        template = await tx.one(queries.template_by_name, name)
        if template is None:
            raise NativeTemplateNotFound
        return template

    async def _shown(self, tx: Tx, template: Template) -> OperationTemplate:
        texts = await tx.all(queries.texts_of_type, template.operation_type)
        return OperationTemplate(
            name=template.name,
            operation_type=template.operation_type,
            data_template=template.data_template,
            signature_types=_decode(template.signature_types, type=tuple[SignatureType, ...]),
            max_failure_count=template.max_failure_count,
            expiration_seconds=template.expiration_s,
            risk_flags=template.risk_flags,
            proximity_check_enabled=template.proximity_check_enabled,
            texts=[_shown_texts(one) for one in texts],
        )

    async def _insert(self, tx: Tx, principal: Principal, template: OperationTemplate) -> None:
        row = _row(template)
        await tx.run(queries.insert_template, *msgspec.structs.astuple(row)[:-1])
        await self._write_texts(tx, template)
        await self._record(tx, principal, "create", template.name)

    async def _write_texts(self, tx: Tx, template: OperationTemplate) -> None:
        await tx.run(queries.delete_texts, template.operation_type)
        for one in template.texts:
            await tx.run(
                queries.insert_texts,
                template.operation_type,
                one.language,
                one.title,
                one.message,
                _encode(one.attributes).decode(),
                None if one.ui is None else _encode(one.ui).decode(),
            )

    async def _record(self, tx: Tx, principal: Principal, what: str, name: str) -> None:
        await self._audit.record(tx, principal, f"{SUBJECT}.{what}", subject_kind=SUBJECT, subject_id=name)


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


def _shown_texts(texts: Texts) -> TemplateTexts:
    return TemplateTexts(
        language=texts.language,
        title=texts.title,
        message=texts.message,
        attributes=_decode(texts.attributes),
        ui=None if texts.ui is None else _decode(texts.ui),
    )


def _check(template: OperationTemplate) -> None:
    if template.proximity_check_enabled:
        raise invalid_field("proximityCheckEnabled", "The proximity check is not available yet.")
    languages = [one.language for one in template.texts]
    if len(set(languages)) != len(languages):
        raise invalid_field("texts", "Each language may come once.")
