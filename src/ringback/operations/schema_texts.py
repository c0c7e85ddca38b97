"""Texts of an operation type in one language, as the native API takes them and the database keeps them.

Source: Mobile Token API, "Operation Form Data" and "Operation Extensions". Every text may have `${parameter}`.
"""

from typing import Annotated, Any, Literal

import msgspec

LANGUAGE_PATTERN = "^[a-z]{2,8}$"
Language = Annotated[str, msgspec.Meta(pattern=LANGUAGE_PATTERN)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]
Short = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
# A whole URL, or a parameter that brings one.
Url = Annotated[str, msgspec.Meta(max_length=2000, pattern=r"^(https?://\S+|\$\{[^{}]+\}\S*)$")]
Link = Annotated[str, msgspec.Meta(max_length=2000, pattern=r"^([A-Za-z][A-Za-z0-9+.-]*:\S+|\$\{[^{}]+\}\S*)$")]
AlertType = Annotated[str, msgspec.Meta(pattern=r"^(SUCCESS|INFO|WARNING|ERROR|\$\{[^{}]+\})$")]
Truth = bool | Annotated[str, msgspec.Meta(pattern=r"^(true|false|\$\{[^{}]+\})$")]


class _Strict(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A field that nobody knows is a typing error."""


class _Attribute(_Strict, frozen=True, rename="camel", tag_field="type", kw_only=True):
    """Something that is shown below the message."""

    id: Id
    label: Short


class AmountText(_Attribute, frozen=True, rename="camel", tag="AMOUNT", kw_only=True):
    """An amount of money; `currency` by ISO 4217."""

    amount: Short
    currency: Short


class AmountConversionText(_Attribute, frozen=True, rename="camel", tag="AMOUNT_CONVERSION", kw_only=True):
    """One amount of money that becomes another; `dynamic`: the rate may still change."""

    dynamic: Truth = False
    source_amount: Short
    source_currency: Short
    target_amount: Short
    target_currency: Short


class KeyValueText(_Attribute, frozen=True, rename="camel", tag="KEY_VALUE", kw_only=True):
    """A value of one line."""

    value: Text


class NoteText(_Attribute, frozen=True, rename="camel", tag="NOTE", kw_only=True):
    """A text of several lines."""

    note: Text


class HeadingText(_Attribute, frozen=True, rename="camel", tag="HEADING", kw_only=True):
    """A heading: its label."""


class AlertText(_Attribute, frozen=True, rename="camel", tag="ALERT", kw_only=True):
    """A box that stands out."""

    alert_type: AlertType
    title: Text | None = None
    message: Text | None = None


class ImageText(_Attribute, frozen=True, rename="camel", tag="IMAGE", kw_only=True):
    """A small image, and where the large one is."""

    thumbnail_url: Url
    original_url: Url | None = None


class Party(_Strict, frozen=True, rename="camel", kw_only=True):
    """Somebody else who takes part, such as the merchant."""

    name: Short
    logo_url: Url | None = None
    description: Text | None = None
    website_url: Url | None = None


class PartyInfoText(_Attribute, frozen=True, rename="camel", tag="PARTY_INFO", kw_only=True):
    """Who else takes part. Without `logoUrl` phones show the name as a KEY_VALUE."""

    party_info: Party


Attribute = (
    AmountText | AmountConversionText | KeyValueText | NoteText | HeadingText | AlertText | ImageText | PartyInfoText
)
Attributes = Annotated[tuple[Attribute, ...], msgspec.Meta(max_length=100)]


class PreApprovalScreen(_Strict, frozen=True, rename="camel", kw_only=True):
    """What the person sees before the operation. `elements`, `controls`: as the Mobile Token SDK reads them."""

    type: Literal["INFO", "WARNING", "QR_SCAN"]
    heading: Short
    message: Text
    id: Id | None = None
    items: Annotated[tuple[Short, ...], msgspec.Meta(max_length=50)] | None = None
    approval_type: Literal["SLIDER", "BUTTON"] | None = None
    back_button: bool | None = None
    image: Short | None = None
    elements: Annotated[tuple[dict[str, Any], ...], msgspec.Meta(max_length=50)] | None = None
    controls: dict[str, Any] | None = None


class _PostApprovalScreen(_Strict, frozen=True, rename="camel", tag_field="type", kw_only=True):
    """What the person sees after the approval."""

    heading: Short
    message: Text


class ReviewPayload(_Strict, frozen=True):
    """The attributes to look at once more."""

    attributes: Attributes


class ReviewScreen(_PostApprovalScreen, frozen=True, rename="camel", tag="REVIEW", kw_only=True):
    """The operation once more."""

    payload: ReviewPayload


class RedirectPayload(_Strict, frozen=True, rename="camel", kw_only=True):
    """Where the person goes on, after `countdown` seconds or at once."""

    redirect_url: Link
    redirect_text: Short
    countdown: Annotated[int, msgspec.Meta(ge=0, le=3600)]


class RedirectScreen(_PostApprovalScreen, frozen=True, rename="camel", tag="MERCHANT_REDIRECT", kw_only=True):
    """Back to the merchant."""

    payload: RedirectPayload


class GenericScreen(_PostApprovalScreen, frozen=True, rename="camel", tag="GENERIC", kw_only=True):
    """Whatever the app understands."""

    payload: dict[str, Any] = {}


class Ui(_Strict, frozen=True, rename="camel", kw_only=True):
    """How the phone behaves. Without it the risk flags of the template decide: X flips, C blocks, F warns.

    `preApprovalScreens`: several, for SDKs that know more than one. `templates`: how the list and the detail look, as
    the Mobile Token SDK reads them.
    """

    flip_buttons: bool | None = None
    block_approval_on_call: bool | None = None
    pre_approval_screen: PreApprovalScreen | None = None
    pre_approval_screens: Annotated[tuple[PreApprovalScreen, ...], msgspec.Meta(max_length=20)] | None = None
    templates: dict[str, Any] | None = None
    post_approval_screen: ReviewScreen | RedirectScreen | GenericScreen | None = None


class ResultTexts(_Strict, frozen=True, kw_only=True):
    """What the phone says when it is over, instead of its own words."""

    success: Text | None = None
    reject: Text | None = None
    failure: Text | None = None


class TextsContent(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """What phones show in one language, with `${parameter}` where the values go.

    An attribute is left out when a parameter that it needs is not given.
    """

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    message: Annotated[str, msgspec.Meta(max_length=10_000)] = ""
    attributes: Attributes = ()
    ui: Ui | None = None
    result_texts: ResultTexts | None = None


class TemplateTexts(TextsContent, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """The same, with the language: ISO 639, without a region."""

    language: Language
