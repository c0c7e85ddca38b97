"""Operation templates in the native API."""

from typing import Annotated, Literal

import msgspec

from ringback.operations.schema_texts import TemplateTexts

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
SignatureType = Literal["possession", "possession_knowledge", "possession_biometry", "possession_knowledge_biometry"]


class TemplateContent(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """All of a template but its name. Templates of one `operationType` share the texts: the last write counts."""

    operation_type: Name
    data_template: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000, pattern=r"^[^\x00-\x1f]*$")]
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
