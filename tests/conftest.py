from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("moa", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("moa")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)
