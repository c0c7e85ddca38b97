"""Operation templates in the native API."""

from typing import Annotated, Any, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Language = Annotated[str, msgspec.Meta(pattern="^[a-z]{2,8}$")]
SignatureType = Literal["possession", "possession_knowledge", "possession_biometry", "possession_knowledge_biometry"]


class TemplateTexts(msgspec.Struct, frozen=True):
    """What phones show in one language, with `${parameter}` where the values go.

    `attributes`: objects with `id`, `type`, `label` and what the type asks for, as in the Mobile Token API; one whose
    parameter is not given is left out. `ui`: the Mobile Token API's `ui` object.
    """

    language: Language
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    message: Annotated[str, msgspec.Meta(max_length=10_000)] = ""
    attributes: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=100)] = []
    ui: dict[str, Any] | None = None


class TemplateContent(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """All of a template but its name. Templates of one `operationType` share the texts: the last write counts."""

    operation_type: Name
    data_template: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]
    signature_types: Annotated[tuple[SignatureType, ...], msgspec.Meta(min_length=1, max_length=4)] = (
        "possession_knowledge",
        "possession_biometry",
    )
    max_failure_count: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5
    expiration_seconds: Annotated[int, msgspec.Meta(ge=1, le=31_536_000)] = 300
    risk_flags: Annotated[str, msgspec.Meta(pattern="^[XCF]{0,3}$")] = ""
    proximity_check_enabled: bool = False
    texts: Annotated[list[TemplateTexts], msgspec.Meta(min_length=1, max_length=50)]


class OperationTemplate(TemplateContent, frozen=True, rename="camel", kw_only=True):
    """A template."""

    name: Name


class TemplatePage(msgspec.Struct, frozen=True, rename="camel"):
    """Some templates, by name; `nextCursor` asks for the next ones, null when these were the last."""

    items: list[OperationTemplate]
    next_cursor: str | None
