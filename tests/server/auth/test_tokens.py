"""Listed and signed tokens: which are accepted, which refused, and that no secret leaks."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from scripts.make_token import main as make_token
from server.auth.grants import Scope
from server.auth.tokens import AUDIENCE, LONGEST_TOKEN, Tokens, read_tokens
from server.errors import BadTokenError, ForbiddenError, SettingsError

DAY_S = 86_400
"""Tokens are made when tests are collected, and minutes may pass before they are used."""
KEY = "k" * 40
SECRET = "not-to-be-seen-anywhere"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.toml"


def entry(**fields: str) -> str:
    given = {"name": '"studio"', "secret": f'"{SECRET}"', "scopes": '["publish"]'} | fields
    return "[[token]]\n" + "".join(f"{key} = {value}\n" for key, value in given.items())


def signed(key: str = KEY, algorithm: str = "HS256", **claims: Any) -> str:
    known = {"aud": AUDIENCE, "exp": time.time() + DAY_S, "jti": "12345678", "scope": "view"}
    wanted = {name: value for name, value in (known | claims).items() if value is not None}
    return jwt.encode(wanted, key if algorithm != "none" else "", algorithm=algorithm)


def test_a_listed_token_grants_the_scopes_of_the_file(file: Path) -> None:
    file.write_text(entry(streams='["me", "you"]'))
    grant = read_tokens(file).find(SECRET)
    assert grant.holder == "studio"
    assert grant.scopes == {Scope.PUBLISH}
    assert grant.covers("me")
    assert not grant.covers("them")
    assert not grant.covers(None)
    with pytest.raises(ForbiddenError, match="scope view or drive, got one with publish"):
        grant.check_scope(Scope.VIEW, Scope.DRIVE)


@pytest.mark.parametrize("token", ["", SECRET[:-1], SECRET + "x", "ä", "\udcff", "a.b.c", "." * 9])
def test_an_unknown_token_is_refused(file: Path, token: str) -> None:
    file.write_text(f'signing_keys = ["{KEY}"]\n' + entry())
    with pytest.raises(BadTokenError, match="expected a token of this server"):
        read_tokens(file).find(token)


def test_an_oversized_token_is_refused_before_it_is_parsed(file: Path) -> None:
    file.write_text(entry())
    with pytest.raises(BadTokenError, match="at most 4096 characters"):
        read_tokens(file).find("x" * (LONGEST_TOKEN + 1))


def test_a_signed_token_grants_its_own_scopes_and_holder() -> None:
    tokens = Tokens({}, (KEY,))
    one, other = (tokens.find(tokens.sign([Scope.VIEW], ["me"], 1)) for _ in range(2))
    assert (one.scopes, one.streams) == (frozenset({Scope.VIEW}), frozenset({"me"}))
    assert not one.may_access(other)
    assert tokens.find(tokens.sign([Scope.VIEW, Scope.DRIVE], None, 1)).covers(None)


def test_a_signing_key_can_be_replaced_while_its_tokens_are_valid() -> None:
    token = Tokens({}, (KEY,)).sign([Scope.VIEW], None, 1)
    assert Tokens({}, ("n" * 40, KEY)).find(token).allows(Scope.VIEW)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (signed(exp=time.time() - 1), "has expired"),
        (signed(key="another key of thirty-two bytes or more"), "expected a token of this server"),
        (signed(algorithm="none"), "expected a token of this server"),
        (signed(algorithm="HS384", key=KEY * 2), "expected a token of this server"),
        (signed(aud="somewhere-else"), "expected a token of this server"),
        (signed(aud=None), "expected a token of this server"),
        (signed(exp=None), "expected a token of this server"),
        (signed(jti=None), "expected a token of this server"),
        (signed(scope="everything"), "expected a token of this server"),
        (signed(scope=["admin"]), "expected a token of this server"),
        (signed(streams="me"), "expected a token of this server"),
        (signed(nbf=time.time() + DAY_S), "expected a token of this server"),
    ],
)
def test_an_invalid_signed_token_is_refused(token: str, said: str) -> None:
    with pytest.raises(BadTokenError, match=said):
        Tokens({}, (KEY,)).find(token)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a [[token]] or signing_keys, got neither"),
        (f"secret = {SECRET}", "expected TOML"),
        (entry(scopes='["watch"]'), "token.0.scopes"),
        (entry(scopes="[]"), "token.0.scopes"),
        (entry(secret='"short"'), "token.0.secret"),
        (entry(secret=f'"{SECRET} {SECRET}"'), "may only hold letters"),
        (entry(extra=f'"{SECRET}"'), "token.0.extra"),
        (entry() + entry(name='"other"'), "every name and secret once"),
        (entry() + entry(secret=f'"{SECRET}2"'), "every name and secret once"),
        (f'signing_keys = ["{SECRET}"]', "signing_keys.0"),
    ],
)
def test_an_invalid_token_file_is_explained_without_its_secrets(
    file: Path, text: str, said: str
) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_tokens(file)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_missing_token_file_is_explained(file: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_tokens(file)


def test_the_script_creates_a_file_readable_by_its_owner_only_and_a_token(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_token(["--tokens", str(file), "--scope", "view", "--stream", "me"]) == 0
    said = capsys.readouterr()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "new signing key" in said.err
    grant = read_tokens(file).find(said.out.strip())
    assert (grant.scopes, grant.streams) == (frozenset({Scope.VIEW}), frozenset({"me"}))
    before = file.read_text()
    arguments = ["--scope", "view", "--scope", "drive", "--minutes", "0.5"]
    assert make_token(["--tokens", str(file), *arguments]) == 0
    both = read_tokens(file).find(capsys.readouterr().out.strip())
    assert (both.scopes, both.streams) == (frozenset({Scope.VIEW, Scope.DRIVE}), None)
    assert file.read_text() == before


def test_the_script_explains_an_invalid_token_file(file: Path) -> None:
    file.write_text(entry())
    command = [sys.executable, "-m", "scripts.make_token", "--tokens", str(file), "--scope", "view"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert ended.returncode == 1
    assert ended.stderr.startswith("make_token: expected signing_keys")
    assert SECRET not in ended.stderr
