from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.model_server import ModelServer

settings.register_profile("moa", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("moa")
os.environ["MOA_MCP_JOURNAL"] = "none"  # nothing that a test starts may write to the user's own


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def serving() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server
