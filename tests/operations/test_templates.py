"""Templates: the seeded ones, and what an administrator does with others."""

from __future__ import annotations

import msgspec
import pytest

from ringback.errors import InvalidRequest, NativeTemplateNotFound, TemplateExists
from ringback.operations.schema_native import OperationTemplate, TemplateContent
from ringback.operations.schema_texts import TemplateTexts, Ui
from ringback.principal import Principal
from tests.operations.rooms import Room, all_audit

ADMIN = Principal("system_user", "root", "admin")
TEMPLATE = OperationTemplate(
    name="transfer",
    operation_type="transfer",
    data_template="A1*A${amount}${currency}",
    max_failure_count=2,
    texts=[
        TemplateTexts(language="cs", title="Převod", message="Převést ${amount}?"),
        TemplateTexts(language="en", title="Transfer", ui=Ui(flip_buttons=True)),
    ],
)


async def create(room: Room, template: OperationTemplate) -> OperationTemplate:
    return await room.store.write(room.templates.create, ADMIN, template)


async def test_seeded_once(room: Room) -> None:
    await room.store.write(room.templates.seed_templates)
    login, payment = await room.store.read(room.templates.page, "", 10)
    assert (login.name, login.operation_type, login.data_template) == ("login", "login", "A2")
    assert (payment.name, payment.operation_type) == ("payment", "authorize_payment")
    assert payment.data_template == "A1*A${amount}${currency}*I${iban}"
    assert (payment.max_failure_count, payment.expiration_seconds) == (5, 300)
    assert payment.signature_types == ("possession_knowledge", "possession_biometry")


async def test_what_was_deleted_stays_deleted(room: Room) -> None:
    await room.store.write(room.templates.delete, ADMIN, "payment")
    await room.store.write(room.templates.seed_templates)
    assert [one.name for one in await room.store.read(room.templates.page, "", 10)] == ["login"]


async def test_created_used_changed_deleted(room: Room) -> None:
    await create(room, TEMPLATE)
    assert await room.store.read(room.templates.get, "transfer") == TEMPLATE
    operation = await room.create(template="transfer", parameters={"amount": "1", "currency": "EUR"})
    assert (operation.data, operation.max_failure_count) == ("A1*A1EUR", 2)
    content = TemplateContent(
        operation_type="send", data_template="A2", texts=[TemplateTexts(language="en", title="Send")]
    )
    replaced = await room.store.write(room.templates.replace, ADMIN, "transfer", content)
    assert replaced == await room.store.read(room.templates.get, "transfer")
    assert (await room.look(operation)).data == "A1*A1EUR"
    await room.store.write(room.templates.delete, ADMIN, "transfer")
    with pytest.raises(NativeTemplateNotFound):
        await room.store.read(room.templates.get, "transfer")
    actions = [action for action, _ in await room.all(all_audit) if action.startswith("operation_template")]
    # Three of `create`: two were seeded. Rows of one millisecond have no order.
    assert sorted(actions) == [
        *["operation_template.create"] * 3,
        "operation_template.delete",
        "operation_template.replace",
    ]


async def test_texts_that_are_shared_stay_with_the_last_template(room: Room) -> None:
    await create(room, TEMPLATE)
    await create(room, msgspec.structs.replace(TEMPLATE, name="transfer 2"))
    await room.store.write(room.templates.delete, ADMIN, "transfer")
    assert (await room.store.read(room.templates.get, "transfer 2")).texts == TEMPLATE.texts


async def test_a_name_is_taken_once(room: Room) -> None:
    assert await create(room, TEMPLATE) == TEMPLATE
    with pytest.raises(TemplateExists):
        await create(room, TEMPLATE)


async def test_refusals(room: Room) -> None:
    with pytest.raises(InvalidRequest):
        await create(room, msgspec.structs.replace(TEMPLATE, texts=[TEMPLATE.texts[0]] * 2))
    with pytest.raises(NativeTemplateNotFound):
        await room.store.write(room.templates.delete, ADMIN, "nothing")
