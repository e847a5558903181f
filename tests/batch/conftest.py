from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.batches import Desk
from tests.support.model_server import ModelServer


@pytest.fixture
def desk(serving: ModelServer, tmp_path: Path) -> Iterator[Desk]:
    serving.clear()
    serving.script("*")
    desk = Desk(tmp_path, serving)
    desk.configure()
    yield desk
    for model in ("first", "last"):
        serving.script(model)
