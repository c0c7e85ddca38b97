"""Makes a push fit its provider: what people read is shortened, what programs read never is."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import msgspec

from ringback.push.content import Content

ELLIPSIS = "…"

_JOINER = "\u200d"
_LONGEST_CLUSTER = 64
_REGIONAL = range(0x1F1E6, 0x1F200)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)
_HANGUL_ENDINGS = range(0x1160, 0x1200)

_NEVER_SHORTENED = (
    "extras", "titleLocArgs", "titleLocKey", "bodyLocArgs", "bodyLocKey", "sound", "icon", "category", "thread",
    "collapseId", "contentState", "attributes", "attributesType", "displayNumber", "huntPilotDn",
)  # fmt: skip

_replace = msgspec.structs.replace
_encode = msgspec.json.Encoder().encode


class PayloadRefused(ValueError):
    """No provider would take this push, or not for this push token. `field` is the member of the content at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class PayloadTooLarge(PayloadRefused):
    """The push is too large even without what people read. `field`: the largest of what is never shortened."""

    def __init__(self, content: Content, size: int, limit: int) -> None:
        super().__init__(
            _largest_member(content), f"The push has {size} bytes besides its text, where {limit} are allowed."
        )


def fit(content: Content, limit: int, write: Callable[[Content], bytes]) -> bytes:
    """`write(content)` in at most `limit` bytes: the body is shortened first, then the title, then the caller's name.

    Each ends with "…" then, and before it stands a beginning of the text that ends where a character does, as people
    see characters. Raises PayloadTooLarge.
    """
    payload = write(content)
    for text_of, with_text in _SHORTENED:
        if len(payload) <= limit:
            break
        text = text_of(content)
        if not text or len(_encode(text)) <= len(_encode(ELLIPSIS)):
            continue
        fits, too_long = 0, min(len(text), max(limit, 1))
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if len(write(with_text(content, text[:middle] + ELLIPSIS))) <= limit:
                fits = middle
            else:
                too_long = middle
        content = with_text(content, shortened(text, fits))
        payload = write(content)
    if len(payload) > limit:
        raise PayloadTooLarge(content, len(payload), limit)
    return payload


def shortened(text: str, most: int) -> str:
    """At most `most` code points of the text, and "…". No character of several code points is broken.

    But one of more than 64 is: that is decoration, and no reader misses the rest.
    """
    end = most
    while end and most - end < _LONGEST_CLUSTER and _is_inside(text, end):
        end -= 1
    if end and _is_inside(text, end):
        end = most
    return text[:end] + ELLIPSIS


def _is_inside(text: str, at: int) -> bool:
    """Whether `at` is inside a character: the main rules of Unicode's grapheme clusters (UAX #29 §3.1.1)."""
    if at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    code = ord(after)
    if _JOINER in {before, after} or unicodedata.category(after) in {"Mn", "Mc", "Me"}:
        return True
    if code in _REGIONAL and ord(before) in _REGIONAL:  # a flag is a pair
        start = at
        while start and ord(text[start - 1]) in _REGIONAL:
            start -= 1
        return (at - start) % 2 == 1
    return code in _SKIN_TONES or code in _TAGS or code in _HANGUL_ENDINGS or (before == "\r" and after == "\n")


def _largest_member(content: Content) -> str:
    """Of those that programs read; where none of them says anything, `extras`."""
    members = msgspec.to_builtins(content)
    members |= members.get("call", {}) | members.get("liveActivity", {})
    found = [name for name in _NEVER_SHORTENED if members.get(name)]
    return max(found, key=lambda name: len(_encode(members[name])), default="extras")


def _with_body(content: Content, text: str) -> Content:
    return _replace(content, body=text)


def _with_title(content: Content, text: str) -> Content:
    return _replace(content, title=text)


def _with_name(content: Content, text: str) -> Content:
    return content if content.call is None else _replace(content, call=_replace(content.call, display_name=text))


_SHORTENED: tuple[tuple[Callable[[Content], str | None], Callable[[Content, str], Content]], ...] = (
    (lambda content: content.body, _with_body),
    (lambda content: content.title, _with_title),
    (lambda content: content.call.display_name if content.call else None, _with_name),
)
