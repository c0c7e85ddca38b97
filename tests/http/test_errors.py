"""Each API gets its errors in its own shape; what went wrong inside stays inside."""

from __future__ import annotations

import re

import pytest

from ringback import errors
from ringback.errors import RingbackError
from tests.http.asgi import AsgiAnswer, ask
from tests.http.small_app import PATHS, small_app

SECRET = "SELECT password FROM users"
FACES = pytest.mark.parametrize("face", list(PATHS))


def all_errors(base: type[RingbackError] = RingbackError) -> list[type[RingbackError]]:
    """The server's tree; what the software phone adds for its owner is never sent."""
    children = [child for child in base.__subclasses__() if child.__module__ == errors.__name__]
    return [base, *(one for child in children for one in all_errors(child))]


def code_of(face: str, answer: AsgiAnswer) -> str:
    return str(answer.json["code"] if face == "native" else answer.json["responseObject"]["code"])


def assert_shape(face: str, answer: AsgiAnswer) -> None:
    shown = answer.json
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.message
    if face == "native":
        assert answer.headers["content-type"] == "application/problem+json"
        assert shown["status"] == answer.status
        assert set(shown) <= {"title", "status", "detail", "code", "violations"}
    else:
        assert answer.headers["content-type"] == "application/json"
        assert set(shown) == {"status", "responseObject"}
        assert shown["status"] == "ERROR"
        assert set(shown["responseObject"]) <= {"code", "message", "violations"}


def test_the_drawing_of_the_tree_shows_every_error_once() -> None:
    drawing = (errors.__doc__ or "").partition("\n\n")[2].partition("\n\nA class's docstring")[0]
    drawing = drawing.replace("InvalidRequest:", "").replace("NotFound:", "").replace("are NotFound", "")
    drawn = re.findall(r"\b(?:Conflict|[A-Z][a-z]+(?:[A-Z][a-z]+)+)\b", drawing.replace("PowerAuth", ""))
    assert sorted(drawn) == sorted({kind.__name__ for kind in all_errors()})


@FACES
async def test_every_error_class_has_its_status_and_code(face: str) -> None:
    for kind in dict.fromkeys(all_errors()):
        answer = await ask(small_app(kind()), f"{PATHS[face]}/boom")
        assert_shape(face, answer)
        assert answer.status == kind.status
        expected = kind.code
        if face == "mobile" and issubclass(kind, errors.InvalidRequest):
            expected = "INVALID_REQUEST"
        assert code_of(face, answer) == expected
        assert answer.message == kind.default_message()


@FACES
async def test_what_is_inside_stays_inside(face: str) -> None:
    wrapped = errors.StoreUnavailable(cause=OSError(SECRET))
    for raised in (ValueError(SECRET), wrapped, RecursionError(SECRET), errors.InvalidRequest(cause=KeyError(SECRET))):
        answer = await ask(small_app(raised), f"{PATHS[face]}/boom")
        assert_shape(face, answer)
        assert SECRET.encode() not in answer.content
        assert b"Traceback" not in answer.content
    assert (await ask(small_app(ValueError(SECRET)), f"{PATHS[face]}/boom")).status == 500


@FACES
async def test_violations_name_the_field(face: str) -> None:
    for body, field in ((b"{}", "name"), (b'{"name":""}', "name"), (b'{"name":1}', "name"), (b"[]", "body")):
        answer = await ask(small_app(), f"{PATHS[face]}/named", method="POST", body=body)
        assert_shape(face, answer)
        assert answer.status == 400
        assert code_of(face, answer) == ("INVALID_REQUEST" if face == "mobile" else "ERROR_REQUEST")
        holder = answer.json if face == "native" else answer.json["responseObject"]
        [violation] = holder["violations"]
        assert violation["fieldName"] == field
        assert violation["hint"]


@FACES
async def test_query_parameters_are_refused_the_same_way(face: str) -> None:
    for query in ("", "?n=0", "?n=x", "?n=1.5", "?n=", "?m=1"):
        answer = await ask(small_app(), f"{PATHS[face]}/count{query}")
        assert answer.status == 400, query
        assert_shape(face, answer)
        holder = answer.json if face == "native" else answer.json["responseObject"]
        assert [one["fieldName"] for one in holder["violations"]] == ["n"], query


@FACES
async def test_unavailable_says_when_to_come_back(face: str) -> None:
    answer = await ask(small_app(errors.StoreUnavailable()), f"{PATHS[face]}/boom")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


@FACES
async def test_unauthenticated_says_how(face: str) -> None:
    answer = await ask(small_app(), f"{PATHS[face]}/seen")
    assert answer.status == 401
    assert_shape(face, answer)
    if face == "mobile":  # a phone proves itself in other ways
        assert "www-authenticate" not in answer.headers
    else:
        assert answer.headers["www-authenticate"] == 'Basic realm="Ringback", charset="UTF-8"'
