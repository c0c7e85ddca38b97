"""Texts by language: how administrators keep them, and what phones are shown. Over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.languages import preferred_languages
from ringback.operations.languages import format_amount
from tests.operations.journey import Journey

PARAMETERS = {
    "amount": "2199.40", "currency": "CZK", "source": "100.00", "account": "238400856/0300", "note": "a\nb",
    "kind": "ERROR",
    "url": "https://example.com/image.png", "party": "Tesco", "dynamic": "true", "empty": "",
}  # fmt: skip
# By type: what is kept, and what phones are shown; the latter as the page "Mobile Token API" prints it.
ATTRIBUTES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"type": "ALERT", "alertType": "WARNING", "id": "1", "label": "Alert", "title": "Low", "message": "You"},
        {"type": "ALERT", "alertType": "WARNING", "id": "1", "label": "Alert", "title": "Low", "message": "You"},
    ),
    (
        {"type": "ALERT", "alertType": "${kind}", "id": "1", "label": "Alert", "message": "${missing}"},
        {"type": "ALERT", "alertType": "ERROR", "id": "1", "label": "Alert", "message": ""},
    ),
    (
        {"type": "ALERT", "alertType": "${note}", "id": "1", "label": "Alert"},
        {"type": "ALERT", "alertType": "INFO", "id": "1", "label": "Alert", "message": ""},
    ),
    (
        {"type": "HEADING", "id": "2", "label": "Utility Payment"},
        {"type": "HEADING", "id": "2", "label": "Utility Payment"},
    ),
    (
        {"type": "AMOUNT", "id": "3", "label": "Amount", "amount": "${amount}", "currency": "${currency}"},
        {
            "type": "AMOUNT", "id": "3", "label": "Amount", "amount": 2199.40, "currency": "CZK",
            "amountFormatted": "2,199.40", "currencyFormatted": "CZK", "valueFormatted": "2,199.40 CZK",
        },
    ),
    (
        {
            "type": "AMOUNT_CONVERSION", "id": "4", "label": "Rate", "dynamic": "${dynamic}",
            "sourceAmount": "${source}", "sourceCurrency": "USD", "targetAmount": "${amount}",
            "targetCurrency": "${currency}",
        },
        {
            "type": "AMOUNT_CONVERSION", "id": "4", "label": "Rate", "dynamic": True,
            "sourceAmount": 100.00, "sourceCurrency": "USD", "sourceAmountFormatted": "100.00",
            "sourceCurrencyFormatted": "USD", "sourceValueFormatted": "100.00 USD",
            "targetAmount": 2199.40, "targetCurrency": "CZK", "targetAmountFormatted": "2,199.40",
            "targetCurrencyFormatted": "CZK", "targetValueFormatted": "2,199.40 CZK",
        },
    ),
    (
        {"type": "KEY_VALUE", "id": "5", "label": "To", "value": "${account}"},
        {"type": "KEY_VALUE", "id": "5", "label": "To", "value": "238400856/0300"},
    ),
    (
        {"type": "NOTE", "id": "6", "label": "Note", "note": "${note} ${empty}."},
        {"type": "NOTE", "id": "6", "label": "Note", "note": "a\nb ."},
    ),
    (
        {"type": "IMAGE", "id": "7", "label": "Check", "thumbnailUrl": "https://a.b/t.png", "originalUrl": "${url}"},
        {
            "type": "IMAGE", "id": "7", "label": "Check", "thumbnailUrl": "https://a.b/t.png",
            "originalUrl": "https://example.com/image.png",
        },
    ),
    (
        {
            "type": "PARTY_INFO", "id": "8", "label": "App",
            "partyInfo": {"logoUrl": "${url}", "name": "${party}", "description": "${missing}", "websiteUrl": "https://a.b"},
        },
        {
            "type": "PARTY_INFO", "id": "8", "label": "App",
            "partyInfo": {
                "logoUrl": "https://example.com/image.png", "name": "Tesco", "websiteUrl": "https://a.b",
                "description": "",
            },
        },
    ),
    (
        {"type": "PARTY_INFO", "id": "8", "label": "App", "partyInfo": {"logoUrl": "${missing}", "name": "${party}"}},
        {"type": "KEY_VALUE", "id": "8", "label": "App", "value": "Tesco"},
    ),
]  # fmt: skip
NOT_SHOWN: list[dict[str, Any]] = [
    {"type": "KEY_VALUE", "id": "9", "label": "x", "value": "${missing}"},
    {"type": "AMOUNT", "id": "9", "label": "x", "amount": "1", "currency": "${missing}"},
    {"type": "NOTE", "id": "9", "label": "${missing}", "note": "x"},
    {"type": "PARTY_INFO", "id": "9", "label": "x", "partyInfo": {"name": "${missing}"}},
    {"type": "IMAGE", "id": "9", "label": "x", "thumbnailUrl": "${missing}"},
]
UI = {
    "flipButtons": True,
    "blockApprovalOnCall": False,
    "preApprovalScreen": {
        "type": "QR_SCAN", "heading": "Scan", "message": "Hello ${party}", "items": ["one", "two"],
        "approvalType": "SLIDER",
    },
    "postApprovalScreen": {
        "type": "REVIEW", "heading": "Done", "message": "You paid.",
        "payload": {"attributes": [ATTRIBUTES[4][0], NOT_SHOWN[0]]},
    },
}  # fmt: skip
REDIRECT = {
    "type": "MERCHANT_REDIRECT", "heading": "Thank you", "message": "Wait",
    "payload": {"redirectText": "Go", "redirectUrl": "shop://${party}", "countdown": 5},
}  # fmt: skip
GENERIC = {
    "type": "GENERIC",
    "heading": "Thank you",
    "message": "Bye",
    "payload": {"customMessage": "See you, ${party}."},
}
TEXTS: dict[str, Any] = {"title": "Pay ${amount}", "message": "To ${account}, ${missing}"}


async def show(journey: Journey, language: str = "en", user: str = "alice") -> list[dict[str, Any]]:
    async with await journey.phone(user) as phone:
        answer = await journey.shown(phone, language=language)
        assert answer.status == 200, answer
        shown: list[dict[str, Any]] = answer.body["responseObject"]
        return shown


async def put(journey: Journey, texts: dict[str, Any], language: str = "en", template: str = "payment") -> Any:
    return await journey.admin("PUT", f"/{template}/texts/{language}", texts)


async def test_attributes_of_every_type(journey: Journey) -> None:
    kept = [one for one, _ in ATTRIBUTES]
    result = {"success": "Paid ${amount}", "reject": "Not paid"}
    saved = await put(journey, {**TEXTS, "attributes": [*kept, *NOT_SHOWN], "resultTexts": result})
    assert (saved.status, saved.body["language"]) == (200, "en")
    again = await journey.admin("GET", "/payment/texts/en")
    assert again.body == saved.body
    assert [one["type"] for one in again.body["attributes"]] == [one["type"] for one in [*kept, *NOT_SHOWN]]
    await journey.ask(userId="alice", template="payment", parameters=PARAMETERS)
    (shown,) = await show(journey)
    assert shown["formData"] == {
        "title": "Pay 2199.40",
        "message": "To 238400856/0300, ${missing}",
        "attributes": [one for _, one in ATTRIBUTES],
        "resultTexts": {"success": "Paid 2199.40", "reject": "Not paid"},
    }
    # The SDK for Android reads an attribute from the front and must know its type before what else is in it.
    assert all(next(iter(one)) == "type" for one in shown["formData"]["attributes"] if "dynamic" not in one)
    assert "ui" not in shown


async def test_ui_with_parameters(journey: Journey) -> None:
    await journey.ask(userId="alice", template="payment", parameters=PARAMETERS)
    assert (await put(journey, {**TEXTS, "ui": UI})).status == 200
    (shown,) = await show(journey)
    assert shown["ui"] == {
        **UI,
        "preApprovalScreen": {**UI["preApprovalScreen"], "message": "Hello Tesco"},  # type: ignore[dict-item]
        "postApprovalScreen": {**UI["postApprovalScreen"], "payload": {"attributes": [ATTRIBUTES[4][1]]}},  # type: ignore[dict-item]
    }
    several = {
        "preApprovalScreens": [UI["preApprovalScreen"]],
        "templates": {"list": {"header": "${operation.amount}"}},
    }
    assert (await put(journey, {**TEXTS, "ui": several})).status == 200
    (shown,) = await show(journey)
    assert shown["ui"]["preApprovalScreens"][0]["message"] == "Hello Tesco"
    assert shown["ui"]["templates"] == several["templates"]
    assert (await put(journey, {**TEXTS, "ui": {"postApprovalScreen": REDIRECT}})).status == 200
    (shown,) = await show(journey)
    assert shown["ui"]["postApprovalScreen"]["payload"]["redirectUrl"] == "shop://Tesco"
    assert (await put(journey, {**TEXTS, "ui": {"postApprovalScreen": GENERIC}})).status == 200
    (shown,) = await show(journey)
    assert shown["ui"]["postApprovalScreen"]["payload"] == {"customMessage": "See you, Tesco."}


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": None}, "title"),
        ({"attributes": [{"type": "KEY_VALUE", "id": "1", "label": "x"}]}, "attributes[0].value"),
        ({"attributes": [{"type": "OTHER", "id": "1", "label": "x"}]}, "attributes[0].type"),
        ({"attributes": [{"type": "HEADING", "id": "1"}]}, "attributes[0].label"),
        ({"attributes": [{"type": "HEADING", "id": "1", "label": "x", "labl": "y"}]}, "attributes[0]"),
        ({"attributes": [{**ATTRIBUTES[0][0], "alertType": "LOUD"}]}, "attributes[0].alertType"),
        ({"attributes": [{**ATTRIBUTES[5][0], "dynamic": "perhaps"}]}, "attributes[0].dynamic"),
        ({"attributes": [{**ATTRIBUTES[8][0], "thumbnailUrl": "javascript:alert(1)"}]}, "attributes[0].thumbnailUrl"),
        ({"attributes": [{**ATTRIBUTES[9][0], "partyInfo": {}}]}, "attributes[0].partyInfo.name"),
        ({"attributes": [ATTRIBUTES[3][0]] * 101}, "attributes"),
        ({"ui": {"flipButton": True}}, "ui"),
        ({"ui": {"flipButtons": "yes"}}, "ui.flipButtons"),
        ({"ui": {"preApprovalScreen": {"type": "LOUD", "heading": "x", "message": "y"}}}, "ui.preApprovalScreen.type"),
        ({"ui": {"postApprovalScreen": {**REDIRECT, "payload": {}}}}, "ui.postApprovalScreen.payload.redirectUrl"),
        ({"resultTexts": {"success": 1}}, "resultTexts.success"),
        ({"resultTexts": {"succes": "x"}}, "resultTexts"),
    ],
)
async def test_texts_are_checked_by_type(journey: Journey, bad: dict[str, Any], field: str) -> None:
    refused = await put(journey, {**TEXTS, **bad})
    assert refused.status == 400
    assert refused.body["violations"][0]["fieldName"] == field
    template = {
        "name": "bad", "operationType": "bad", "dataTemplate": "A2", "texts": [{**TEXTS, "language": "en", **bad}],
    }  # fmt: skip
    refused = await journey.admin("POST", "", template)
    assert refused.status == 400
    assert refused.body["violations"][0]["fieldName"].startswith("texts[0]")


async def test_one_language_at_a_time(journey: Journey) -> None:
    czech = {"title": "Zaplatit ${amount}", "message": ""}
    assert (await put(journey, czech, "cs")).status == 200
    template = (await journey.admin("GET", "/payment")).body
    assert [one["language"] for one in template["texts"]] == ["cs", "en"]
    assert (await journey.admin("DELETE", "/payment/texts/en")).status == 200
    assert (await journey.admin("GET", "/payment/texts/en")).status == 404
    assert (await journey.admin("DELETE", "/payment/texts/en")).status == 404
    refused = await journey.admin("DELETE", "/payment/texts/cs")
    assert (refused.status, refused.body["violations"][0]["fieldName"]) == (400, "language")
    for path in ("/nothing/texts/en", "/payment/texts/de"):
        assert (await journey.admin("GET", path)).status == 404
    assert (await journey.admin("GET", "/%00/texts/en")).status in {400, 404}
    assert (await put(journey, czech, "en", "nothing")).status == 404
    for language in ("e", "EN", "en-GB", "english1"):
        refused = await put(journey, czech, language)
        assert (refused.status, refused.body["violations"][0]["fieldName"]) == (400, "language"), language
    assert (await journey.served.call("PUT", "/api/v1/operation-templates/payment/texts/en", czech)).status == 403


async def test_the_language_of_the_phone(journey: Journey) -> None:
    for language, title in (("cs", "Česky"), ("de", "Deutsch")):
        await put(journey, {"title": title, "attributes": [ATTRIBUTES[4][0]]}, language)
    await journey.ask(userId="alice", template="payment", parameters=PARAMETERS)
    for header, title, formatted in (
        ("cs-CZ,cs;q=0.9,en;q=0.8", "Česky", "2\N{NO-BREAK SPACE}199,40"),
        ("fr-FR, de-AT;q=0.5, cs;q=0.4", "Deutsch", "2.199,40"),
        ("en-GB,de;q=0.9", "Approve payment", "2,199.40"),
        ("fr", "Approve payment", "2,199.40"),
        ("*", "Approve payment", "2,199.40"),
    ):
        (shown,) = await show(journey, header)
        assert shown["formData"]["title"] == title, header
        assert shown["formData"]["attributes"][0]["amountFormatted"] == formatted
    await journey.admin("DELETE", "/payment/texts/en")
    (shown,) = await show(journey, "fr")  # not even English: whatever there is
    assert shown["formData"]["title"] == "Česky"


async def test_without_any_texts_it_is_not_listed(journey: Journey) -> None:
    gone = await journey.ask(userId="alice", template="payment", parameters=PARAMETERS)
    kept = await journey.ask(userId="alice")
    await journey.admin("DELETE", "/payment")
    assert [one["id"] for one in await show(journey)] == [kept["operationId"]]
    assert (await journey.look(gone["operationId"]))["status"] == "PENDING"


async def test_a_change_is_seen_at_once_here(journey: Journey) -> None:
    await journey.ask(userId="alice", template="payment", parameters=PARAMETERS)
    for title in ("First", "Second"):
        await put(journey, {"title": title})
        assert (await show(journey))[0]["formData"]["title"] == title


@pytest.mark.parametrize(
    ("text", "language", "formatted", "number"),
    [
        ("1000000000.00", "en", "1,000,000,000.00", b"1000000000.00"),
        ("-1234.5", "de", "-1.234,5", b"-1234.5"),
        ("1e3", "cs", "1\N{NO-BREAK SPACE}000", b"1000"),
        ("12345", "ja", "12,345", b"12345"),
        ("lots", "en", "lots", None),
        ("NaN", "en", "NaN", None),
        ("1e999", "en", "1e999", None),
    ],
)
def test_amounts(text: str, language: str, formatted: str, number: bytes | None) -> None:
    raw, shown = format_amount(text, language)
    assert shown == formatted
    assert (None if raw is None else bytes(raw)) == number


def test_languages_with_regions_and_weights() -> None:
    assert preferred_languages("pt-BR;q=0.8, zh_Hant_TW, en-US;q=0.9") == ["zh", "en", "pt"]
    assert preferred_languages("DE-de;Q=0.1,xx;q=0") == ["de", "en"]
    assert preferred_languages("x" * 10_000) == ["x" * 500, "en"]
