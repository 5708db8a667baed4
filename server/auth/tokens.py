"""Tokens: secrets listed in a file, and short-lived tokens signed with a key from that file.

The file is TOML, see `scripts/make_token.py`:

    signing_keys = ["..."]      # the first one signs, all of them are accepted

    [[token]]
    name = "studio"             # appears in the log; owns the sessions that it opens
    secret = "..."
    scopes = ["publish"]
    streams = ["me"]            # default: all streams

No error message contains a secret.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import jwt
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError

from server.auth.grants import Grant, Scope
from server.errors import BadTokenError, SettingsError

AUDIENCE = "telewarp"
"""Audience of signed tokens: tokens of the same key for other programs are rejected."""
LONGEST_TOKEN = 4096
"""Characters; a longer one is rejected before it is parsed."""
_ALGORITHM = "HS256"
_Secret = Annotated[SecretStr, Field(min_length=16)]
_SAFE = frozenset(string.ascii_letters + string.digits + "._~-")
"""Characters that are valid in a URL, `Authorization` and `Sec-WebSocket-Protocol`."""


class _Listed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]
    secret: _Secret
    scopes: frozenset[Scope] = Field(min_length=1)
    streams: frozenset[str] | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    signing_keys: tuple[Annotated[SecretStr, Field(min_length=32)], ...] = ()
    token: tuple[_Listed, ...] = ()


class Claims(BaseModel):
    """The claims of a signed token. PyJWT checks `exp` and `aud`."""

    exp: float
    jti: Annotated[str, Field(min_length=8, max_length=128)]
    scope: Annotated[str, Field(max_length=256)]
    streams: frozenset[str] | None = None
    sub: Annotated[str | None, Field(max_length=160)] = None
    """Holder of the token that it was derived from; None if it was not derived from one."""
    request: str | None = None
    """Method and path of the only request that a redirect token is valid for."""
    until: float | None = None
    """Expiry of the token that a redirect token was derived from."""

    @property
    def grant(self) -> Grant:
        """The permissions of the token."""
        scopes = frozenset(Scope(name) for name in self.scope.split())
        return Grant(self.sub or f"signed {self.jti}", scopes, self.streams, self.exp)


class Tokens:
    """All valid tokens.

    Args:
        listed: Grants by the SHA-256 digest of their secret.
        signing_keys: Keys of signed tokens; the first one signs new tokens.
    """

    def __init__(self, listed: dict[bytes, Grant], signing_keys: tuple[str, ...] = ()) -> None:
        self._listed = listed
        self._signing_keys = signing_keys

    def find(self, token: str) -> Grant:
        """Return the permissions of a token.

        Raises:
            BadTokenError: If it is unknown, forged or expired.
        """
        if len(token) > LONGEST_TOKEN:
            raise BadTokenError(f"expected a token of at most {LONGEST_TOKEN} characters")
        listed = self._find_listed(token)
        return listed if listed is not None else self.read_signed(token).grant

    def _find_listed(self, token: str) -> Grant | None:
        """Compare with every listed token in constant time, so that timing reveals nothing."""
        digest, found = _digest(token), None
        for known, grant in self._listed.items():
            if hmac.compare_digest(known, digest):
                found = grant
        return found

    def read_signed(self, token: str, audience: str = AUDIENCE) -> Claims:
        """Verify a signed token and return its claims.

        Args:
            token: The encoded JWT.
            audience: Required audience.

        Raises:
            BadTokenError: If it is forged, expired, or for another audience.
        """
        for key in self._signing_keys:
            try:
                claims = jwt.decode(
                    token,
                    key,
                    algorithms=[_ALGORITHM],
                    audience=audience,
                    options={"require": ["exp", "aud", "jti"]},
                )
                read = Claims.model_validate(claims)
                _ = read.grant  # raises if a scope does not exist
                return read
            except jwt.ExpiredSignatureError as exc:
                raise BadTokenError("the token has expired; ask for a new one") from exc
            except jwt.InvalidSignatureError:
                continue  # it may be signed with another key
            except (jwt.InvalidTokenError, ValidationError, ValueError):
                break
        # Without the cause, which may quote a secret.
        raise BadTokenError("expected a token of this server, got another") from None

    def sign(self, scopes: Iterable[Scope], streams: Iterable[str] | None, minutes: float) -> str:
        """Make a short-lived token.

        Args:
            scopes: Permissions of the token.
            streams: Streams that it is restricted to; None for all.
            minutes: Lifetime.

        Raises:
            SettingsError: If the file has no signing key.
        """
        now = int(time.time())
        return self.sign_claims(scopes, streams, iat=now, exp=now + round(minutes * 60))

    def sign_claims(
        self,
        scopes: Iterable[Scope],
        streams: Iterable[str] | None,
        audience: str = AUDIENCE,
        **claims: float | str,
    ) -> str:
        """Make a signed token with additional claims.

        Args:
            scopes: Permissions of the token.
            streams: Streams that it is restricted to; None for all.
            audience: The program that accepts it.
            claims: `exp`, and others of `Claims`.

        Raises:
            SettingsError: If the file has no signing key.
        """
        if not self._signing_keys:
            raise SettingsError("expected signing_keys in the file of tokens, got none")
        said: dict[str, Any] = {
            "aud": audience,
            "jti": secrets.token_urlsafe(12),
            "scope": " ".join(sorted(scopes)),
            **claims,
        }
        if streams is not None:
            said["streams"] = sorted(streams)
        return jwt.encode(said, self._signing_keys[0], algorithm=_ALGORITHM)

    @property
    def can_sign(self) -> bool:
        """Whether the file has a signing key."""
        return bool(self._signing_keys)


def read_tokens(file: Path) -> Tokens:
    """Read the file of tokens.

    Raises:
        SettingsError: If the file cannot be used; the message contains no secret.
    """
    try:
        content = _File.model_validate(tomllib.loads(file.read_text()))
    except OSError as exc:
        raise SettingsError(f"cannot read tokens {file}: {exc.strerror or exc}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # Without the cause, which quotes the line.
        raise SettingsError(f"tokens {file}: expected TOML, got something else") from None
    except ValidationError as exc:
        raise SettingsError(f"tokens {file}: {_describe(exc)}") from None
    return _collect(content, file)


def _collect(content: _File, file: Path) -> Tokens:
    if not content.token and not content.signing_keys:
        raise SettingsError(f"tokens {file}: expected a [[token]] or signing_keys, got neither")
    listed: dict[bytes, Grant] = {}
    for entry in content.token:
        secret = entry.secret.get_secret_value()
        if not _SAFE.issuperset(secret):
            raise SettingsError(
                f"tokens {file}: the secret of {entry.name!r} may only hold letters, digits, "
                "'.', '_', '~' and '-'"
            )
        listed[_digest(secret)] = Grant(entry.name, entry.scopes, entry.streams)
    if len({grant.holder for grant in listed.values()}) < len(content.token):
        raise SettingsError(f"tokens {file}: expected every name and secret once")
    return Tokens(listed, tuple(key.get_secret_value() for key in content.signing_keys))


def _describe(error: ValidationError) -> str:
    found = error.errors(include_input=False, include_url=False, include_context=False)
    fields = (".".join(str(part) for part in detail["loc"]) for detail in found)
    return "; ".join(
        f"{field}: {detail['msg']}" for field, detail in zip(fields, found, strict=True)
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()
