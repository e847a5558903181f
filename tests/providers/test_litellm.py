"""litellm as far as it is relied on: every test here fails with what to do when a release of it changes that."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from moa_mcp import errors
from moa_mcp.providers.litellm import client as provider_module
from moa_mcp.providers.litellm.client import LiteLLM
from moa_mcp.routing import catalog, hosts
from moa_mcp.values import Call, Message, Place, Target

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def provider() -> LiteLLM:
    loaded = LiteLLM()
    loaded.load()
    assert loaded._loaded.wait(60)
    return loaded


@pytest.fixture
def call() -> Call:
    messages = (Message("user", "Why?"),)
    return Call("run", Place(1, 1), "m", messages, {}, 1, target=Target("openai/m", "openai", "http://127.0.0.1:9/v1"))


async def failure(provider: LiteLLM, call: Call) -> errors.CallError:
    with pytest.raises(errors.CallError) as raised:
        await provider(call)
    return raised.value


async def test_a_litellm_that_can_not_be_loaded_is_told_to_every_call(
    monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    def broken() -> None:
        raise RuntimeError("half installed")

    monkeypatch.setattr("moa_mcp.providers.litellm.client._imported", broken)
    provider = LiteLLM()
    told = [str(await failure(provider, call)), str(await failure(provider, call))]
    assert told == ["litellm failed to load: half installed"] * 2


async def test_a_model_of_no_known_provider_is_refused_without_a_word_on_stdout(
    provider: LiteLLM, call: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    unknown = call._replace(target=Target("no-such-provider/m", "no-such-provider"))
    assert isinstance(await failure(provider, unknown), errors.RequestRefused)
    assert capfd.readouterr().out == "", (
        "litellm prints to stdout, which carries the protocol: find the switch that took over from suppress_debug_info"
    )


@pytest.mark.parametrize(
    "switch", ["suppress_debug_info", "disable_hf_tokenizer_download", "drop_params", "cache", "num_retries"]
)
def test_every_switch_that_is_set_on_litellm_is_one_it_has(switch: str) -> None:
    source = inspect.getsource(import_module("litellm"))
    assert re.search(rf"^{switch}\b", source, re.MULTILINE), (
        f"litellm has no {switch} any more: look for what replaced it, and set that in providers/litellm.py, _imported"
    )


@pytest.mark.usefixtures("provider")
def test_litellm_asks_its_transport_for_the_proxy() -> None:
    transport = import_module("litellm.llms.custom_httpx.aiohttp_transport").LiteLLMAiohttpTransport
    assert "self._proxy_from_env(" in inspect.getsource(transport), (
        "litellm finds its proxy elsewhere: have it ask routing.proxies there, in providers/litellm/client.py"
    )


def test_litellms_table_of_prices_is_where_it_is_read() -> None:
    assert catalog.provider_of("gpt-4o-mini") == "openai", (
        f"litellm keeps its prices elsewhere than in {catalog._TABLE}, or in another form: change routing/catalog.py"
    )


@pytest.mark.parametrize("variable", sorted(provider_module._ENVIRONMENT))
def test_every_variable_that_is_set_for_litellm_is_one_it_reads(variable: str) -> None:
    folder = Path(inspect.getfile(import_module("litellm"))).parent
    readers = (
        "__init__.py",
        "_logging.py",
        "anthropic_beta_headers_manager.py",
        "litellm_core_utils/get_model_cost_map.py",
    )
    assert any(variable in (folder / name).read_text("utf-8") for name in readers if (folder / name).exists()), (
        f"litellm reads {variable} no more, or in another file: see what it does at its import now (a request, a .env, "
        "a print), and change _ENVIRONMENT in providers/litellm.py or the files named here"
    )


def test_litellms_file_of_hosts_is_where_it_is_read() -> None:
    assert hosts.host("veniceai") is not None, (
        f"litellm keeps its list of OpenAI-compatible hosts elsewhere than in {hosts._TABLE}, or in another form: "
        "change routing/hosts.py"
    )


def test_litellms_table_tells_which_models_reason_unasked() -> None:
    assert catalog.default_effort("openai/gpt-5.1") == "none", (
        "litellm's table no longer has default_reasoning_effort: change catalog.default_effort, providers/families.py"
    )


@pytest.mark.parametrize("name", sorted({*hosts.HOSTS} - {"openai", "openrouter", "minimax", "litellm_proxy"}))
@pytest.mark.usefixtures("provider")
def test_a_host_is_where_litellm_has_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = hosts.HOSTS[name]
    for variable in host.variables:
        monkeypatch.delenv(variable, raising=False)
    assert _base(name) == host.base, (
        f"litellm has another address for {name}: see which is right, change routing/hosts.py"
    )
    monkeypatch.setenv(host.variables[-1], "http://gate:9/v1")
    assert _base(name) == "http://gate:9/v1", (
        f"litellm takes the address of {name} from another variable than {host.variables[-1]}: change routing/hosts.py"
    )


def _base(name: str) -> str | None:
    found: tuple[Any, ...] = import_module("litellm").get_llm_provider(f"{name}/m")
    return None if found[3] is None else str(found[3]).rstrip("/")


@pytest.mark.parametrize("name", ["openai", "openrouter", "minimax"])
def test_a_host_that_litellm_keeps_in_its_code_is_where_that_has_it(name: str) -> None:
    source = inspect.getsource(import_module("litellm.main"))
    host = hosts.HOSTS[name]
    missing = [each for each in (host.base, *host.variables) if f'"{each}"' not in source]
    assert not missing, f"litellm.main does not name {missing} for {name}: see what it does, change routing/hosts.py"


@pytest.mark.usefixtures("provider")
def test_a_model_at_fireworks_is_called_as_litellm_calls_it() -> None:
    theirs = import_module("litellm.llms.fireworks_ai.common_utils").resolve_fireworks_resource_name
    for name in ("m", "m-fast", "models/m", "routers/m", "accounts/own/models/m", "m#own/deployment"):
        assert hosts.wire_name("fireworks_ai", f"fireworks_ai/{name}") == theirs(name), (
            "litellm names Fireworks' models otherwise: see which is right, change hosts.wire_name"
        )


@pytest.mark.usefixtures("provider")
def test_litellms_errors_have_what_is_read_of_them() -> None:
    kinds = import_module("litellm.exceptions")
    read = {"status_code", "message"}
    for name in ("BadRequestError", "RateLimitError", "ContentPolicyViolationError", "InternalServerError"):
        source = inspect.getsource(getattr(kinds, name))
        assert all(f"self.{each}" in source for each in read), (
            f"litellm.exceptions.{name} lost one of {sorted(read)}: change _status and _told in providers/litellm.py"
        )
