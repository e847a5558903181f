"""An OAuth authorization server on this machine: metadata, keys that rotate, and the flow of the official MCP client.

It signs what a test wants, also what no authorization server should. `asked` has the paths of its requests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class AuthorizationServer:
    """An issuer with an RSA key, `path` being that of its issuer identifier."""

    def __init__(self, path: str = "", *, well_known: str = "/.well-known/oauth-authorization-server") -> None:
        """Serve the metadata at the well-known path alone, with the issuer's path after it."""
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._http.server_address[1]}{path}"
        self.keys: dict[str, Private] = {}
        self.published: list[Any] | None = None
        """The documents of the keys, if other ones than those of `keys`."""
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/register",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        }
        self.well_known = f"{well_known}{path}"
        self.asked: list[str] = []
        self.status = 200
        self._codes: dict[str, Mapping[str, str]] = {}
        self.rotate("first")

    def __enter__(self) -> Self:
        Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def rotate(self, key_id: str, *, curve: bool = False) -> None:
        """Replace all keys by a new one."""
        made: Private = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, 2048)
        self.keys = {key_id: made}

    def token(self, audience: str | None, *, headers: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """Return a token of ann for a server, or with other headers and claims; a claim of None is left out."""
        key_id, key = next(iter(self.keys.items()))
        now = int(time.time())
        usual = {"iss": self.issuer, "sub": "ann", "aud": audience, "iat": now, "exp": now + 300, "scope": "moa:run"}
        content = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        given = {"kid": key_id, "typ": "at+jwt", **(headers or {})}
        return jwt.encode(
            content, key, algorithm, {name: value for name, value in given.items() if value or name != "kid"}
        )

    def _jwks(self) -> Any:
        if self.published is not None:
            return {"keys": self.published}
        return {"keys": [{**_public(key), "kid": name, "use": "sig"} for name, key in self.keys.items()]}

    def _document(self, path: str) -> Any:
        if path == self.well_known:
            return self.metadata
        return self._jwks() if path == urlsplit(self.metadata["jwks_uri"]).path else None

    def _authorized(self, query: Mapping[str, str]) -> str:
        """Return the address to which the user is sent back: this user always agrees."""
        code = secrets.token_urlsafe(8)
        self._codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def _issued(self, form: Mapping[str, str]) -> Any:
        query = self._codes.pop(form["code"])
        digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        assert digest.rstrip(b"=").decode() == query["code_challenge"]
        token = self.token(query["resource"], scope=query["scope"], client_id=form["client_id"])
        return {"access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": query["scope"]}

    def _handler(owner) -> type[BaseHTTPRequestHandler]:  # noqa: N805  the handler has a self, too
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                owner.asked.append(url.path)
                if url.path.endswith("/authorize"):
                    query = {name: each[0] for name, each in parse_qs(url.query).items()}
                    self.send_response(302)
                    self.send_header("Location", owner._authorized(query))
                    self.end_headers()
                    return
                self._send(owner._document(url.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.path.endswith("/register"):
                    self._send({**json.loads(body), "client_id": "the client"}, 201)
                else:
                    self._send(owner._issued({name: each[0] for name, each in parse_qs(body).items()}))

            def _send(self, document: Any, status: int | None = None) -> None:
                text = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(404 if document is None else status or owner.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name there
                pass

        return Handler


def _public(key: Private) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
