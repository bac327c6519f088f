"""The token with which ElastiCache lets in an IAM identity: its form, its signature, its age."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

import botocore.auth
import botocore.session
import pytest
from botocore.exceptions import CredentialRetrievalError

from playerstate.backends.aws.cache_token import USED_FOR_S, VALID_FOR_S, CacheToken
from playerstate.backends.aws.errors import AuthenticationFailed
from playerstate.errors import Unavailable

ACCESS_KEY, SECRET_KEY, SESSION_TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a/session+token=="
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> botocore.session.Session:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)
    session = botocore.session.Session()
    session.set_credentials(ACCESS_KEY, SECRET_KEY, SESSION_TOKEN)
    return session


def expected(cache: str, operation: str) -> str:
    """The token, by hand: Signature Version 4 of a GET without a body, whose parameters carry the signature."""
    scope = "20260304/eu-west-1/elasticache/aws4_request"
    signing = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{ACCESS_KEY}/{scope}",
        "X-Amz-Date": "20260304T050607Z",
        "X-Amz-Expires": "900",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Security-Token": SESSION_TOKEN,
    }
    query = operation + "".join(f"&{name}={quote(value, safe='-_.~')}" for name, value in signing.items())
    canonical_query = "&".join(sorted(query.split("&")))
    empty = hashlib.sha256(b"").hexdigest()
    canonical = f"GET\n/\n{canonical_query}\nhost:{cache}\n\nhost\n{empty}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n20260304T050607Z\n{scope}\n{digest}"
    key = b"AWS4" + SECRET_KEY.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{cache}/?{query}&X-Amz-Signature={signature}"


@pytest.mark.parametrize(
    ("serverless", "operation"),
    [
        (False, "Action=connect&User=game-servers"),
        (True, "Action=connect&User=game-servers&ResourceType=ServerlessCache"),
    ],
)
def test_a_token_is_what_was_worked_out_by_hand(
    session: botocore.session.Session, serverless: bool, operation: str
) -> None:
    """Of a cache of its own nodes and of a serverless one, to the letter. Caches' names are in small letters."""
    token = CacheToken(session, "eu-west-1", cache="Hot-Cache", user="game-servers", serverless=serverless)
    assert token(refused=False) == ("game-servers", expected("hot-cache", operation))


def test_the_form_of_a_token(session: botocore.session.Session) -> None:
    """It has no scheme, and says for whom, for what, and for how long at most it is."""
    _, password = CacheToken(session, "eu-west-1", cache="hot", user="a user&more")(refused=False)
    assert not password.startswith("http")
    parts = urlsplit(f"//{password}")
    query = dict(parse_qsl(parts.query, strict_parsing=True))
    assert (parts.netloc, parts.path) == ("hot", "/")
    assert (query["Action"], query["User"], query["X-Amz-Expires"]) == ("connect", "a user&more", str(VALID_FOR_S))
    assert SECRET_KEY not in password


def test_a_token_is_renewed_before_it_ends(session: botocore.session.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used for ten minutes, and made anew when it was refused."""
    now_s = 1000.0
    token = CacheToken(session, "eu-west-1", cache="hot", user="game", clock=lambda: now_s)
    first = token(refused=False)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(minute=20))
    now_s += USED_FOR_S - 1
    assert token(refused=False) == first
    now_s += 1
    second = token(refused=False)
    assert second != first
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(minute=21))
    assert token(refused=False) == second
    assert token(refused=True) != second
    assert USED_FOR_S < VALID_FOR_S


def test_no_identity() -> None:
    """Without credentials, or where they cannot be fetched, it is said so, and nothing of botocore's gets out."""

    class Nobody:
        def get_credentials(self) -> None:
            return None

    class Broken:
        def get_credentials(self) -> None:
            raise CredentialRetrievalError(provider="container-role", error_msg="anna")

    with pytest.raises(AuthenticationFailed):
        CacheToken(Nobody(), "eu-west-1", cache="hot", user="game")(refused=False)
    with pytest.raises(Unavailable) as caught:
        CacheToken(Broken(), "eu-west-1", cache="hot", user="game")(refused=False)
    assert "anna" not in str(caught.value)
