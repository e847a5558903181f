from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.batches import Desk
from tests.support.database import Cluster
from tests.support.days import begin_after_midnight
from tests.support.lives import Machine
from tests.support.model_server import ModelServer
from tests.support.nursery import Nursery
from tests.support.tracing import complete_tracing

complete_tracing()
settings.register_profile("moa", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("moa")
os.environ["MOA_MCP_JOURNAL"] = "none"  # nothing that a test starts may write to the user's own
os.environ["MOA_MCP_ENV_FILE"] = "none"  # or read the user's own keys
os.environ["XDG_CONFIG_HOME"] = os.devnull  # or their configuration
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
for variable in [name for name in os.environ if name.startswith("OTEL_")]:  # or send its runs anywhere
    del os.environ[variable]


def pytest_runtest_setup() -> None:
    begin_after_midnight()


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Store what tests evaluate in a folder of theirs, not in the user's own."""
    os.environ["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def serving() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    if not hasattr(os, "fork"):
        pytest.skip("processes are forked, so that each need not load all anew")
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def machine(nursery: Nursery, tmp_path: Path) -> Iterator[Machine]:
    with ModelServer() as models:
        yield Machine(nursery, models, tmp_path)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The PostgreSQL server of this process of the tests."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def database(cluster: Cluster) -> str:
    """The address of a database without runs."""
    return cluster.emptied()


@pytest.fixture
def desk(serving: ModelServer, tmp_path: Path) -> Iterator[Desk]:
    serving.clear()
    serving.script("*")
    desk = Desk(tmp_path, serving)
    desk.configure()
    yield desk
    for model in ("first", "last"):
        serving.script(model)
