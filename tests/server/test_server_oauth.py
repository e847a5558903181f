"""A server that accepts the access tokens of an authorization server, which is a real one, and of nobody else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import jwt
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from moa_mcp.callers import OAuthSettings, Permissions
from moa_mcp.server.auth import keys
from moa_mcp.server.auth.access_tokens import AccessTokens
from moa_mcp.server.auth.challenges import Denied
from tests.support.authorization_server import AuthorizationServer
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE
from tests.support.team import Team, send

pytestmark = pytest.mark.anyio

QUESTION = "What does the violet elephant eat?"
RESOURCE = "https://moa.example.com/mcp"
SCOPES = {"moa:run": Permissions(pipelines=("vote",)), "moa:operate": Permissions(operator=True)}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def issuer() -> Iterator[AuthorizationServer]:
    with AuthorizationServer("/realms/team") as server:
        yield server


@pytest.fixture(scope="module")
def guarded(issuer: AuthorizationServer, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    more = f"""
[oauth]
issuer = "{issuer.issuer}"
[oauth.scopes."moa:run"]
pipelines = ["vote"]
[oauth.scopes."moa:operate"]
operator = true
"""
    team = Team(tmp_path_factory.mktemp("oauth"), {"alice": Permissions()}, more)
    with team.served(nursery, prelude=AT_ONCE) as (_, url):
        yield url


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def metadata_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"


def test_a_token_of_the_issuer_is_a_caller_with_the_permissions_of_its_scopes(
    issuer: AuthorizationServer, guarded: str
) -> None:
    ann, bea = (bearer(issuer.token(guarded, sub=each)) for each in ("ann", "bea"))
    operator = bearer(issuer.token(None, aud=[guarded, "another"], scope=None, scp=["moa:operate", "email"]))
    run = send(guarded, ann, "tools/call", name="vote", arguments={"question": QUESTION}).result["structuredContent"]
    look: dict[str, Any] = {"name": "moa_trace", "arguments": {"run_id": run["run_id"]}}
    denied, seen = (send(guarded, each, "tools/call", **look).result for each in (bea, operator))
    assert denied["content"][0]["text"] == f"there is no run '{run['run_id']}' in the journal"
    assert seen["structuredContent"]["run_id"] == run["run_id"]
    assert "self_moa" not in send(guarded, ann, "tools/list").text
    assert "self_moa" in send(guarded, operator, "tools/list").text


def test_a_request_without_a_token_learns_where_to_get_one(issuer: AuthorizationServer, guarded: str) -> None:
    refusal = send(guarded, {}, "tools/list")
    challenge = f'Bearer scope="moa:run", resource_metadata="{metadata_of(guarded)}"'
    assert (refusal.status, refusal.headers["www-authenticate"]) == (401, challenge)
    for url in (metadata_of(guarded), metadata_of(guarded).removesuffix("/mcp")):
        assert httpx2.get(url, timeout=10).json() == {
            "resource": guarded,
            "authorization_servers": [issuer.issuer],
            "scopes_supported": ["moa:run", "moa:operate"],
            "bearer_methods_supported": ["header"],
            "resource_name": "moa-mcp",
        }


def test_a_token_without_a_scope_of_the_server_is_forbidden_and_told_which(
    issuer: AuthorizationServer, guarded: str
) -> None:
    refusal = send(guarded, bearer(issuer.token(guarded, scope="email")), "tools/list")
    challenge = (
        'Bearer error="insufficient_scope", error_description="the token has no scope of this server: moa:run or '
        f'moa:operate", scope="moa:run", resource_metadata="{metadata_of(guarded)}"'
    )
    assert (refusal.status, refusal.headers["www-authenticate"]) == (403, challenge)


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "headers", "description"),
    [
        ({"exp": NOW - 60}, {}, "the token has expired"),
        ({"nbf": NOW + 3600}, {}, "the token is not valid yet; compare the clocks of both servers"),
        ({"aud": "https://another.example/mcp"}, {}, "the token is for another server: its aud does not name this one"),
        ({"iss": "https://evil.example"}, {}, "the token is of another issuer"),
        ({"exp": None}, {}, "the token has no claim exp"),
        ({"sub": None}, {}, "the token has no claim sub"),
        ({"aud": None}, {}, "the token has no claim aud"),
        ({"sub": ""}, {}, "the claim sub of the token is not a text of 1 to 255 characters"),
        ({"sub": "s" * 256}, {}, "the claim sub of the token is not a text of 1 to 255 characters"),
        ({}, {"typ": "JWT"}, "the header typ of the token is not at+jwt (RFC 9068)"),
        ({}, {"kid": "unknown"}, "the token is not signed with a key of its issuer"),
    ],
)
def test_a_token_that_is_not_valid_is_refused_with_the_reason(
    issuer: AuthorizationServer, guarded: str, claims: dict[str, Any], headers: dict[str, str], description: str
) -> None:
    refusal = send(guarded, bearer(issuer.token(guarded, headers=headers, **claims)), "tools/list")
    assert (refusal.status, json.loads(refusal.text)) == (
        401,
        {"error": "invalid_token", "error_description": description},
    )


def test_a_token_that_another_key_signed_is_refused(issuer: AuthorizationServer, guarded: str) -> None:
    with AuthorizationServer() as evil:
        evil.keys = {key_id: next(iter(evil.keys.values())) for key_id in issuer.keys}
        token = evil.token(guarded, iss=issuer.issuer)
    refusal = send(guarded, bearer(token), "tools/list")
    assert json.loads(refusal.text)["error_description"] == "the signature of the token is wrong"


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_without_a_public_key_signature_is_refused(
    issuer: AuthorizationServer, guarded: str, algorithm: str
) -> None:
    claims = jwt.decode(issuer.token(guarded), options={"verify_signature": False})
    key: Any = None if algorithm == "none" else "the public key, which everyone knows and which is long enough"
    token = jwt.encode(claims, key, algorithm, {"typ": "at+jwt", "kid": next(iter(issuer.keys))})
    refusal = send(guarded, bearer(token), "tools/list")
    assert json.loads(refusal.text)["error_description"] == "the algorithm of the signature is not one of RS256, ES256"


class Memory:
    """What the official client stores of a login."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def test_the_official_client_logs_in_and_asks_a_pipeline(guarded: str) -> None:
    sent_back = ""

    async def open_browser(url: str) -> None:
        nonlocal sent_back
        async with httpx2.AsyncClient() as browser:
            sent_back = (await browser.get(url)).headers["location"]

    async def returned() -> AuthorizationCodeResult:
        query = parse_qs(urlsplit(sent_back).query)
        return AuthorizationCodeResult(code=query["code"][0], state=query["state"][0])

    wanted = OAuthClientMetadata.model_validate({"redirect_uris": ["http://127.0.0.1:1/back"], "client_name": "a test"})
    login = OAuthClientProvider(guarded, wanted, Memory(), open_browser, returned)
    http = httpx2.AsyncClient(auth=login, timeout=20)
    async with http, Client(streamable_http_client(guarded, http_client=http), read_timeout_seconds=20) as client:
        result = await client.call_tool("vote", {"question": QUESTION})
    assert not result.is_error


def verifier(issuer: AuthorizationServer, **settings: Any) -> AccessTokens:
    return AccessTokens(OAuthSettings(issuer=issuer.issuer, scopes=SCOPES, **settings), RESOURCE)


async def refused(tokens: AccessTokens, token: str) -> Denied:
    with pytest.raises(Denied) as caught:
        await tokens.caller(token)
    return caught.value


async def test_after_a_rotation_the_new_key_is_found_and_an_invented_one_asks_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with AuthorizationServer() as issuer:
        tokens = verifier(issuer)
        old = issuer.token(RESOURCE)
        assert (await tokens.caller(old)).name == f"{issuer.issuer} ann"
        asked = len(issuer.asked)
        issuer.rotate("second", curve=True)
        assert "not signed" in (await refused(tokens, issuer.token(RESOURCE))).description
        assert len(issuer.asked) == asked  # the keys were read a moment ago
        monkeypatch.setattr(keys, "PAUSE_S", 0.0)
        await tokens.caller(issuer.token(RESOURCE))
        assert "not signed" in (await refused(tokens, old)).description


async def test_requests_at_the_same_time_read_the_keys_once() -> None:
    with AuthorizationServer() as issuer:
        tokens, token = verifier(issuer), issuer.token(RESOURCE)
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(tokens.caller, token)
        assert issuer.asked == [issuer.well_known, "/keys"]


async def test_a_withdrawn_key_is_refused_when_the_keys_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with AuthorizationServer() as issuer:
        tokens, token = verifier(issuer), issuer.token(RESOURCE)
        await tokens.caller(token)
        issuer.rotate("second")
        await tokens.caller(token)
        monkeypatch.setattr(keys, "FRESH_S", 0.0)
        monkeypatch.setattr(keys, "PAUSE_S", 0.0)
        assert "not signed" in (await refused(tokens, token)).description


async def test_known_keys_are_used_while_the_authorization_server_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with AuthorizationServer() as issuer:
        tokens, token = verifier(issuer), issuer.token(RESOURCE)
        await tokens.caller(token)
    monkeypatch.setattr(keys, "FRESH_S", 0.0)
    monkeypatch.setattr(keys, "PAUSE_S", 0.0)
    await tokens.caller(token)
    assert f"can't read the signing keys of {issuer.issuer}" in caplog.text


@pytest.mark.parametrize(
    ("well_known", "path"),
    [
        ("/.well-known/oauth-authorization-server", "/team"),
        ("/.well-known/openid-configuration", "/team"),
        ("/.well-known/openid-configuration", ""),
    ],
)
async def test_the_metadata_of_an_issuer_is_found_in_every_place_of_the_standards(well_known: str, path: str) -> None:
    with AuthorizationServer(path, well_known=well_known) as issuer:
        await verifier(issuer).caller(issuer.token(RESOURCE))
    assert issuer.asked[-2:] == [issuer.well_known, f"{path}/keys"]


async def test_the_metadata_of_openid_connect_is_found_below_the_issuer() -> None:
    with AuthorizationServer("/team") as issuer:
        issuer.well_known = "/team/.well-known/openid-configuration"
        await verifier(issuer).caller(issuer.token(RESOURCE))


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"issuer": "https://evil.example"}, "is the metadata of another issuer; write that issuer exactly as it does"),
        ({"jwks_uri": "file:///keys"}, "has no jwks_uri with https://"),
        ({"jwks_uri": None}, "has no jwks_uri with https://"),
    ],
)
async def test_metadata_that_can_not_be_trusted_is_not_used(
    metadata: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with AuthorizationServer() as issuer:
        issuer.metadata.update(metadata)
        denied = await refused(verifier(issuer), issuer.token(RESOURCE))
    assert (denied.code, denied.retry_after_s) == ("unavailable", keys.PAUSE_S)
    assert why in caplog.text


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({}, "has no list of keys"),
        (b"[]", "is not a JSON object"),
        (b"no JSON", "Expecting value"),
        (b" " * 1_000_001, "has more than 1000000 bytes"),
    ],
)
async def test_keys_that_can_not_be_read_are_reported(
    document: Any, why: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AuthorizationServer() as issuer:
        monkeypatch.setattr(issuer, "_jwks", lambda: document)
        assert (await refused(verifier(issuer), issuer.token(RESOURCE))).code == "unavailable"
    assert why in caplog.text


async def test_an_authorization_server_with_an_error_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with AuthorizationServer() as issuer:
        issuer.status = 500
        assert (await refused(verifier(issuer), issuer.token(RESOURCE))).code == "unavailable"
    assert "answers with status 500" in caplog.text


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "ES256"}, {"kty": "oct"}, {"n": "AQAB"}, {"n": 1}])
async def test_a_key_for_another_purpose_or_a_weak_one_verifies_nothing(change: dict[str, Any]) -> None:
    with AuthorizationServer() as issuer:
        (key,) = issuer._jwks()["keys"]
        issuer.published = [{**key, **change}]
        assert (await refused(verifier(issuer), issuer.token(RESOURCE))).code == "invalid_token"


async def test_a_token_without_a_key_id_needs_a_single_key() -> None:
    with AuthorizationServer() as issuer:
        token = issuer.token(RESOURCE, headers={"kid": None})
        await verifier(issuer).caller(token)
        (key,) = issuer._jwks()["keys"]
        issuer.published = [key, {**key, "kid": "second"}]
        assert "not signed" in (await refused(verifier(issuer), token)).description


@pytest.mark.parametrize("token", ["a.b.c", "no token at all", "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.x"])
async def test_what_is_no_token_is_refused(token: str) -> None:
    with AuthorizationServer() as issuer:
        assert (await refused(verifier(issuer), token)).code == "invalid_token"


async def test_an_audience_and_a_token_type_can_be_configured() -> None:
    with AuthorizationServer() as issuer:
        tokens = verifier(issuer, audience=("api://moa",), token_types=("JWT",))
        await tokens.caller(issuer.token("api://moa", headers={"typ": None}))
        assert "another server" in (await refused(tokens, issuer.token(RESOURCE, headers={"typ": "JWT"}))).description
