"""The `<token>` of UDS: what is read, what is ignored, what is refused, and that nothing else can happen."""

from __future__ import annotations

import base64
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from ringback.protocols.uds_token import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_ELEMENTS,
    TokenUpdate,
    UdsTokenError,
    check_push_token,
    read_token,
)
from tests.contract.uds_guide import ANDROID, IOS, filled

KEY = bytes(range(32))
KEY_TEXT = base64.b64encode(KEY).decode()
APNS_TOKEN = "0123456789abcdef" * 4
FIELDS = {
    "pushNotifyToken": APNS_TOKEN,
    "pushChannelType": "APNS",
    "key": KEY_TEXT,
    "algorithm": "A256GCM",
    "application": "bank",
    "payloadVersion": "V2",
}
WHOLE = TokenUpdate(APNS_TOKEN, "APNS", KEY, "bank")


def document(fields: dict[str, str], before: str = "", after: str = "") -> bytes:
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields.items())
    return f"{before}<token>{inner}{after}</token>".encode()


def refused(body: bytes) -> UdsTokenError:
    with pytest.raises(UdsTokenError) as refusal:
        read_token(body)
    return refusal.value


def test_the_forms_of_the_guides_are_read() -> None:
    values = {"push_token": APNS_TOKEN, "key": KEY_TEXT, "application": "bank"}
    assert read_token(filled(IOS, **values)) == WHOLE
    assert read_token(filled(ANDROID, **values)) == TokenUpdate(APNS_TOKEN, "FCM", KEY, "bank")
    for printed in (IOS, ANDROID):
        assert refused(printed.encode()).field == "key", "the words in the places of the values are no values"


def test_absent_is_unchanged_and_empty_is_the_default() -> None:
    assert read_token(b"<token/>") == TokenUpdate() == TokenUpdate(UNSET, UNSET, UNSET, UNSET)
    assert read_token(b"<token><key/></token>") == TokenUpdate(key=None)
    assert read_token(b"<token><key> \n </key><algorithm/><payloadVersion></payloadVersion></token>").key is None
    for name in ("pushNotifyToken", "pushChannelType", "application"):
        assert refused(f"<token><{name}/></token>".encode()).field == name, "these have no default"


@pytest.mark.parametrize(
    "body",
    [
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + document(FIELDS),
        b'<?xml version="1.0" encoding="utf-8" standalone="yes"?>' + document(FIELDS),
        b"\xef\xbb\xbf" + document(FIELDS),
        b"<?note ignored?><!-- ignored -->" + document(FIELDS) + b"<!-- ignored -->\n",
        document(dict(reversed(FIELDS.items()))),
        document(FIELDS, after='<future kind="x"><deeper>1</deeper></future> words between'),
        document(FIELDS).replace(b"<token>", b'<token xmlns="urn:any">'),
        document(FIELDS).replace(b"<token>", b'<u:token xmlns:u="urn:any">').replace(b"</token>", b"</u:token>"),
        document(FIELDS)
        .replace(b"<application>", b'<application id="7">\n  ')
        .replace(b"APNS<", b"\t<![CDATA[APNS]]> <"),
        document({**FIELDS, "key": f"\n{KEY_TEXT[:20]}\n{KEY_TEXT[20:]}\n"}),
        document(FIELDS).replace(b">bank<", b">&#98;ank<"),
        document(FIELDS, after="<nested><key>not ours</key></nested>"),
    ],
)
def test_what_may_vary(body: bytes) -> None:
    assert read_token(body) == WHOLE


BAD_FIELDS = [
    ("pushChannelType", "apns"),
    ("pushChannelType", "APNS:prod"),
    ("pushChannelType", "HMS"),
    ("pushNotifyToken", "two words"),
    ("pushNotifyToken", "ž"),
    ("pushNotifyToken", "x" * 4097),
    ("key", base64.b64encode(bytes(31)).decode()),
    ("key", base64.b64encode(bytes(33)).decode()),
    ("key", KEY_TEXT[:-1]),
    ("key", "base64_encoded_secret_key"),
    ("key", "*" * 44),
    ("key", "ž"),
    ("algorithm", "A128GCM"),
    ("algorithm", "a256gcm"),
    ("application", "x" * 256),
    ("payloadVersion", "V1"),
]


@pytest.mark.parametrize(("name", "text"), BAD_FIELDS)
def test_a_bad_value_is_refused_by_the_name_of_its_element(name: str, text: str) -> None:
    error = refused(document({**FIELDS, name: text}))
    assert error.field == name
    assert text not in str(error) or len(text) < 10, "values are not repeated"


BILLION_LAUGHS = """<?xml version="1.0"?><!DOCTYPE token [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;">]>
<token><application>&d;</application></token>"""
BAD_DOCUMENTS = {
    "nothing": b"",
    "white space": b" \n",
    "no XML": b'{"token": {}}',
    "half of it": document(FIELDS)[:-9],
    "two documents": document(FIELDS) * 2,
    "another element": b"<tokens/>",
    "the element inside another": b"<x><token/></x>",
    "NUL": b"<token>\0</token>",
    "a character that XML does not have": b"<token><application>&#1;</application></token>",
    "a surrogate": b"<token><application>&#xD800;</application></token>",
    "invalid UTF-8": b"<token><application>\xff</application></token>",
    "UTF-16": document(FIELDS).decode().encode("utf-16"),
    "UTF-16 without a mark": document(FIELDS).decode().encode("utf-16-le"),
    "Latin 1": b'<?xml version="1.0" encoding="ISO-8859-1"?><token/>',
    "UTF-7": b'<?xml version="1.0" encoding="UTF-7"?><token/>',
    "an undeclared prefix": b"<u:token/>",
    "an unknown entity": b"<token>&nbsp;</token>",
    "billion laughs": BILLION_LAUGHS.encode(),
    "an external entity": b'<!DOCTYPE token [<!ENTITY x SYSTEM "file:///etc/passwd">]><token><key>&x;</key></token>',
    "an external document type": b'<!DOCTYPE token SYSTEM "http://192.0.2.1/token.dtd"><token/>',
    "an external parameter entity": b'<!DOCTYPE token [<!ENTITY % x SYSTEM "http://192.0.2.1/">%x;]><token/>',
    "an empty document type": b"<!DOCTYPE token><token/>",
    "too deep": b"<token>" + b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH + b"</token>",
    "endlessly deep": b"<token>" + b"<a>" * 5_000,
    "too many elements": b"<token>" + b"<a/>" * MAX_ELEMENTS + b"</token>",
    "too long": b"<token>" + b" " * MAX_BYTES + b"</token>",
    "attributes twice": b'<token a="1" a="2"/>',
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_DOCUMENTS)
def test_a_bad_document_is_refused(name: str) -> None:
    assert refused(BAD_DOCUMENTS[name]).field == "body"


def test_an_element_comes_once_and_holds_text() -> None:
    for name, text in FIELDS.items():
        twice = document({name: text}, after=f"<{name}>{text}</{name}>")
        assert refused(twice).field == name
        assert refused(f"<token><{name}><b>x</b></{name}></token>".encode()).field == name


def test_depth_and_number_just_within_the_limits() -> None:
    inner = MAX_DEPTH - 1
    assert read_token(b"<token>" + b"<a>" * inner + b"</a>" * inner + b"</token>") == TokenUpdate()
    assert read_token(b"<token>" + b"<a/>" * (MAX_ELEMENTS - 1) + b"</token>") == TokenUpdate()


def test_push_tokens_of_apns_are_numbers() -> None:
    assert check_push_token(APNS_TOKEN.upper(), "APNS") == APNS_TOKEN
    assert check_push_token("ab" * 8, "APNS:dev") == "ab" * 8
    assert check_push_token("f_A:" + "x-Y" * 50, "FCM") == "f_A:" + "x-Y" * 50
    for bad in ("abc", "ab" * 7, "ab" * 257, APNS_TOKEN[:-1], "g" * 64, f"<{APNS_TOKEN}>"):
        with pytest.raises(UdsTokenError) as refusal:
            check_push_token(bad, "APNS")
        assert refusal.value.field == "pushNotifyToken"


def test_neither_the_key_nor_the_push_token_gets_into_a_log() -> None:
    shown = repr(read_token(document(FIELDS)))
    assert APNS_TOKEN not in shown
    assert repr(KEY) not in shown


_words = st.characters(min_codepoint=0x21, exclude_categories=["Cs", "Cc", "Cn", "Z"])
_xml_text = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc", "Cn"]), max_size=30)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "pushNotifyToken": st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=200),
        "pushChannelType": st.sampled_from(["APNS", "APNS:dev", "FCM"]),
        "key": st.binary(min_size=32, max_size=32).map(lambda key: base64.b64encode(key).decode()),
        "algorithm": st.sampled_from(["", "A256GCM"]),
        "application": st.text(_words, min_size=1, max_size=50),
        "payloadVersion": st.sampled_from(["", "V2"]),
    },
)  # fmt: skip


@given(_fields, _xml_text, st.randoms(use_true_random=False))
def test_whatever_an_app_means_is_read_in_any_order_and_among_anything(
    fields: dict[str, str], words: str, random: object
) -> None:
    names = list(fields)
    random.shuffle(names)  # type: ignore[attr-defined] # a random.Random
    body = document({name: fields[name] for name in names}, after=f"<other>{escape(words)}</other>")
    update = read_token(body)
    assert update.push_token == fields.get("pushNotifyToken", UNSET)
    assert update.channel == fields.get("pushChannelType", UNSET)
    assert update.application == fields.get("application", UNSET)
    assert (update.key is UNSET) == ("key" not in fields)
    if isinstance(update.key, bytes):
        assert base64.b64encode(update.key).decode() == fields["key"]


_PIECES = [
    b"<token>", b"</token>", b"<key>", b"</key>", b"<pushChannelType>APNS", b"</pushChannelType>", b"<!--", b"-->",
    b"<![CDATA[", b"]]>", b"&amp;", b"&x;", b"<!DOCTYPE t [", b"<!ENTITY x 'y'>", b"]>", b"<?xml version='1.0'?>",
    b"<a b='", b"'/>", KEY_TEXT.encode(), b"\xff\xfe", b"\0", b" ",
]  # fmt: skip


@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(_PIECES), max_size=20).map(b"".join)))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        key = read_token(body).key
    except UdsTokenError as error:
        blamed = error.field
    else:
        blamed = "body" if key is UNSET or key is None or len(key) == 32 else ""
    assert blamed in {*FIELDS, "body"}
