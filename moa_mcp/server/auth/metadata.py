"""The protected resource metadata (RFC 9728): which authorization server issues tokens for this server."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from mcp.server.auth.handlers.metadata import ProtectedResourceMetadataHandler
from mcp.server.auth.routes import cors_middleware
from mcp.shared.auth import ProtectedResourceMetadata
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moa_mcp.callers import OAuthSettings
from moa_mcp.server.auth.guard import WELL_KNOWN


def metadata_url(resource: str) -> str:
    """Return where the metadata of a resource is: the well-known path goes before the resource's (section 3.1)."""
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"


def routes(resource: str, oauth: Callable[[], OAuthSettings | None]) -> list[Route]:
    """Return the routes of the metadata: with the path of the resource, and without."""

    async def answer(request: Request) -> Response:
        settings = oauth()
        if settings is None:
            return JSONResponse({"error": "not_found", "error_description": "OAuth is not configured"}, 404)
        document = ProtectedResourceMetadata.model_validate(
            {
                "resource": resource,
                "authorization_servers": [settings.issuer],
                "scopes_supported": list(settings.scopes),
                "resource_name": "moa-mcp",
            }
        )
        return await ProtectedResourceMetadataHandler(document).handle(request)

    methods = ["GET", "OPTIONS"]
    paths = dict.fromkeys([f"{WELL_KNOWN}{urlsplit(resource).path.rstrip('/')}", WELL_KNOWN])
    return [Route(path, cors_middleware(answer, methods), methods=methods) for path in paths]
