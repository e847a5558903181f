from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eval_desk import MODELS, EvalDesk, solving
from tests.support.model_server import ModelServer


@pytest.fixture
def eval_desk(serving: ModelServer, tmp_path: Path) -> Iterator[EvalDesk]:
    serving.clear()
    solving(serving)
    desk = EvalDesk(tmp_path, serving)
    desk.configure()
    yield desk
    for model in MODELS:
        serving.script(model)
