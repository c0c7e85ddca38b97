"""`ringback user`, while the server runs and while it does not."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.peers.server import ServerProcess, basic


def devicetoken(server: ServerProcess, user: str, password: str) -> int:
    """The status that a person gets who asks about a device that nobody told of: 404 when it is let in."""
    url = f"{server.public}/cucm-uds/user/{user}/device/none/devicetoken"
    request = urllib.request.Request(url, headers={"Authorization": basic(user, password)})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_people_are_made_kept_out_and_forgotten(server: ServerProcess) -> None:
    early = server.cli("user", "create", "early", "--display-name", "Early Bird")
    words = dict(line.split(maxsplit=1) for line in early.stdout.splitlines())
    assert words["user"] == "early"
    assert early.stderr == "Keep the password now: it is not shown again.\n"
    server.start()
    late = json.loads(server.cli("user", "create", "late", "--json").stdout)
    assert set(late) == {"userId", "password"}
    assert devicetoken(server, "early", words["password"]) == 404
    assert devicetoken(server, "late", late["password"]) == 404
    assert devicetoken(server, "late", words["password"]) == 401

    assert server.cli("user", "disable", "late").stdout == "user   late\nstate  disabled\n"
    assert devicetoken(server, "late", late["password"]) == 401
    assert server.cli("user", "list").stdout == "early  Early Bird  enabled\nlate  -  disabled\n"
    assert json.loads(server.cli("user", "enable", "late", "--json").stdout) == {"userId": "late", "disabled": False}
    assert devicetoken(server, "late", late["password"]) == 404

    renewed = json.loads(server.cli("user", "password", "late", "--json").stdout)
    assert devicetoken(server, "late", late["password"]) == 401
    assert devicetoken(server, "late", renewed["password"]) == 404
    assert server.cli("user", "delete", "late").stdout == "user     late\ndeleted  yes\n"
    assert devicetoken(server, "late", renewed["password"]) == 401
    listed = [json.loads(line) for line in server.cli("user", "list", "--json").stdout.splitlines()]
    assert [one["userId"] for one in listed] == ["early"]
    assert server.stop() == 0
    assert words["password"] not in server.log()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("create", "a:b"), "userId"),
        (("create", "x" * 256), "userId"),
        (("create", "jan", "--display-name", ""), "displayName"),
        (("disable", "nobody"), "no user with this id"),
        (("password", "nobody"), "no user with this id"),
        (("delete", "nobody"), "no user with this id"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    sqlite_server: ServerProcess, arguments: tuple[str, ...], reason: str
) -> None:
    done = sqlite_server.cli("user", *arguments, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_name_is_given_once(sqlite_server: ServerProcess) -> None:
    sqlite_server.cli("user", "create", "jan")
    again = sqlite_server.cli("user", "create", "jan", check=False)
    assert (again.returncode, "already" in again.stderr) == (1, True)


def test_a_typed_password_is_not_printed(sqlite_server: ServerProcess) -> None:
    typed = subprocess.run(
        [sys.executable, "-m", "ringback", "user", "create", "jan", "--ask-password"],
        env=sqlite_server.environment, input="correct horse\ncorrect horse\n",
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "correct horse" not in typed.stdout + typed.stderr
    assert "as you typed it" in typed.stdout
    short = subprocess.run(
        [sys.executable, "-m", "ringback", "user", "password", "jan", "--ask-password"],
        env=sqlite_server.environment, input="short\nshort\n",
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert short.returncode == 1
    assert "password" in short.stderr
    sqlite_server.start()
    assert devicetoken(sqlite_server, "jan", "correct horse") == 404
    assert sqlite_server.stop() == 0
