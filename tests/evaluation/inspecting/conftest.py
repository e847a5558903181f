from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.inspecting import Bench
from tests.support.model_server import ModelServer


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789abcdef")
    with ModelServer() as models:
        bench = Bench(tmp_path, models)
        bench.configure()
        yield bench
