"""Every fault of a configuration with the exact place and message that its author gets."""

from __future__ import annotations

import pytest

from moa_mcp.config import LimitSettings, StepDefaults, parse
from moa_mcp.errors import ConfigError
from moa_mcp.server.listing import own_tools, view_tool
from tests.support.tables import KINDS, XY, X, faults, pipe

GOOD = pipe(X)

DEFAULT_KEYS, LIMIT_KEYS = (", ".join(sorted(kind.model_fields)) for kind in (StepDefaults, LimitSettings))
TABLES = "defaults, limits, budget, journal, panels, models, pipelines"
ROUTE = 'should be a route, "provider/model" or { model = "provider/model", api_base = "http://..." }'
RETENTION = 'should be a whole number of days, 1 or more, or "forever"'
NO_KEYS = "keys do not belong in this file; set api_key_env of the route to the environment variable with the key"
NO_USER = "should be an address without a user, password or query; set api_key_env to the variable with the key"
NO_NULL = "m, route 1, command: should not contain a null character"
OUTPUT = (
    'should be "text" or a table, { json = "result", prompt_tokens = "usage.in", completion_tokens = "usage.out", '
    'cost_usd = "cost" }'
)
KEY_ENV = "should name the variable that holds the key, such as OPENAI_API_KEY, not the key itself"

FILE = [
    ("[pipelines.p]\nsteps = [", "not valid TOML: Invalid value (at line 2, column 10, at the end of the file)"),
    ("a = 1\nb = \n", "not valid TOML: Invalid value (at line 2, column 5)"),
    ('a = """\nb', "not valid TOML: Unterminated string (at line 2, column 2, at the end of the file)"),
    (
        "[pipelines.p]\n[pipelines.p]",
        "not valid TOML: Cannot declare ('pipelines', 'p') twice (at line 2, column 13)",
    ),
    ("", "pipelines: no pipeline is defined; add a table [pipelines.NAME] with steps = [...]"),
    ("[pipelines]", "pipelines: no pipeline is defined; add a table [pipelines.NAME] with steps = [...]"),
    ("pipelines = 3", "pipelines: 3 should be a table, [pipelines]"),
    ("models = []\n" + GOOD, "models: [] should be a table, [models]"),
    ("defaults = true\n" + GOOD, "defaults: true should be a table, [defaults]"),
    (
        GOOD + "[pipline.q]",
        f"pipline: unknown table, did you mean 'pipelines'? The tables are {TABLES}",
    ),
    ('"a b" = 1\n' + GOOD, f'"a b": unknown table; the tables are {TABLES}'),
    ("limit = {}\n" + GOOD, f"limit: unknown table, did you mean 'limits'? The tables are {TABLES}"),
    ("budget = 3\n" + GOOD, "budget: 3 should be a table, [budget]"),
]

SETTING_FAULTS = [
    (
        "limits.requests_per_minute = { opnai = 60 }",
        (
            "limits.requests_per_minute.opnai: unknown provider 'opnai', did you mean 'openai'? "
            "Use the prefix of a route, such as openai"
        ),
    ),
    (
        "defaults.temprature = 1",
        f"defaults.temprature: unknown key, did you mean 'temperature'? Valid keys: {DEFAULT_KEYS}",
    ),
    ("defaults.x = 1", f"defaults.x: unknown key; valid keys: {DEFAULT_KEYS}"),
    ("limits.atempts = 1", f"limits.atempts: unknown key, did you mean 'attempts'? Valid keys: {LIMIT_KEYS}"),
    ("limits.max_cost = 1", "limits.max_cost: unknown key, did you mean 'max_cost_usd' in [budget]?"),
    ("defaults.retention_day = 1", "defaults.retention_day: unknown key, did you mean 'retention_days' in [journal]?"),
    ("budget.quorum = 1", "budget.quorum: belongs in [defaults]"),
    ("journal.temp = 1", "journal.temp: belongs in [defaults]"),
    ("journal.max_cost_usd = 1", "journal.max_cost_usd: belongs in [budget]"),
    ("defaults.attempts = 21", "defaults.attempts: 21 should be at most 20"),
    (
        "defaults.tokens_per_minute = { x = 1 }",
        "defaults.tokens_per_minute.x: unknown provider 'x'; use the prefix of a route, such as openai",
    ),
    ("defaults.attempts = 2\nlimits.attempts = 2", "limits.attempts: is also in [defaults]; remove it there"),
    ("defaults.temperature = 2.1", "defaults.temperature: 2.1 should be at most 2"),
    ("defaults.temp = -1", "defaults.temp: -1 should be at least 0"),
    (
        "defaults.temp = 1\ndefaults.temperature = 1",
        "defaults.temp: is short for temperature, which is also set; remove one of them",
    ),
    ("defaults.temperature = nan", "defaults.temperature: nan should be at most 2"),
    ('defaults.temperature = "warm"', "defaults.temperature: 'warm' should be a number"),
    ("defaults.temperature = true", "defaults.temperature: true should be a number"),
    ("defaults.max_tokens = 0", "defaults.max_tokens: 0 should be at least 1"),
    ("defaults.max_tokens = 2048.0", "defaults.max_tokens: 2048.0 should be a whole number"),
    ("defaults.max_tokens = true", "defaults.max_tokens: true should be a whole number"),
    ("defaults.timeout_s = 0", "defaults.timeout_s: 0 should be more than 0"),
    ("defaults.timeout_s = 1979-05-27", "defaults.timeout_s: 1979-05-27 should be a number"),
    ("limits.attempts = 21", "limits.attempts: 21 should be at most 20"),
    ('journal.record = "all"', "journal.record: 'all' should be 'calls' or 'hashes'"),
    ("journal.resume = true", "journal.resume: true should be 'on-request' or 'auto'"),
    ('journal.durability = "disk"', "journal.durability: 'disk' should be 'process' or 'power'"),
    ("limits.wait_s = 3601", "limits.wait_s: 3601 should be at most 3600"),
    ("limits.requests_per_minute = 60", "limits.requests_per_minute: 60 should be a table"),
    ("limits.requests_per_minute = { openai = 0 }", "limits.requests_per_minute.openai: 0 should be at least 1"),
    ("limits.tokens_per_minute = { groq = 0.5 }", "limits.tokens_per_minute.groq: 0.5 should be a whole number"),
    (
        "limits.tokens_per_minute = { grok = 60 }",
        (
            "limits.tokens_per_minute.grok: unknown provider 'grok', did you mean 'groq'? "
            "Use the prefix of a route, such as openai"
        ),
    ),
    (
        'limits.requests_per_minute = { "a b" = "x" }',
        "limits.requests_per_minute.\"a b\": 'x' should be a whole number",
    ),
    ('journal.retention_days = "for ever"', f"journal.retention_days: 'for ever' {RETENTION}"),
    ("journal.retention_days = inf", f"journal.retention_days: inf {RETENTION}"),
    ("budget.max_cost_usd = inf", "budget.max_cost_usd: inf should be a finite number"),
    ("defaults.hedge = 1", 'defaults.hedge: 1 should be true, false or "auto"'),
    ('defaults.hedge = "no"', "defaults.hedge: 'no' should be true, false or \"auto\""),
    ("defaults.grace_s = -1", 'defaults.grace_s: -1 should be a number of seconds, 0 or more, or "auto"'),
    ('defaults.grace_s = "none"', "defaults.grace_s: 'none' should be a number of seconds, 0 or more, or \"auto\""),
    ("defaults.timeout_s = nan", "defaults.timeout_s: nan should be more than 0"),
    ('defaults.api_key = "sk-secret-1234567"', f"defaults.api_key: {NO_KEYS}"),
    ('defaults.temperature = "sk-secret-1234567"', "defaults.temperature: '[key]' should be a number"),
]

MODELS = [
    ("m = 'openai/x'", "m: 'openai/x' should be a table, [models.m]"),
    ("m = {}", "m.routes: is missing"),
    ("m = { routes = [] }", "m.routes: is empty; name at least one"),
    ("m = { routes = 'openai/x' }", "m.routes: 'openai/x' should be a list"),
    ("m = { routes = ['openai/x'], titel = 1 }", "m.titel: unknown key; valid keys: routes, stand_in"),
    ("m = { routes = ['openai/x', 3] }", f"m, route 2: 3 {ROUTE}"),
    ("m = { routes = [''] }", "m, route 1, model: is empty"),
    ("m = { routes = [{}] }", "m, route 1, model: is missing"),
    (
        "m = { routes = ['gpt5-nano'] }",
        "m, route 1: 'gpt5-nano' has no provider; write it as provider/model, such as openai/gpt-5-nano",
    ),
    (
        "m = { routes = [{ model = 'openai/x', api_bas = 'http://x' }] }",
        (
            "m, route 1, api_bas: unknown key, did you mean 'api_base'? "
            "Valid keys: api_base, api_key_env, command, env, extra, images, input, lacks, model, n, output, "
            "reasoning_effort, thinking_tokens, usd_per_million, window"
        ),
    ),
    (
        "m = { routes = [{ model = 'openai/x', api_base = 'localhost:1' }] }",
        "m, route 1, api_base: 'localhost:1' should begin with http:// or https://",
    ),
    (
        "m = { routes = [{ model = 'openai/x', api_base = 'http://me:hunter2@h/v1' }] }",
        f"m, route 1, api_base: {NO_USER}",
    ),
    (
        "m = { routes = [{ model = 'openai/x', api_base = 'http://h/v1?key=hunter2' }] }",
        f"m, route 1, api_base: {NO_USER}",
    ),
    (
        "m = { routes = [{ model = 'openai/x', api_base = 'http:///v1' }] }",
        "m, route 1, api_base: 'http:///v1' should be an address with a host, such as http://127.0.0.1:8000/v1",
    ),
    (
        "m = { routes = [{ model = 'openai/x', usd_per_million = { prompt = 1, completion = 2, cashed = 1 } }] }",
        (
            "m, route 1, usd_per_million.cashed: unknown key, did you mean 'cached'? "
            "Valid keys: cached, completion, prompt"
        ),
    ),
    (
        "m = { routes = [{ model = 'openai/x', usd_per_million = 3 }] }",
        "m, route 1, usd_per_million: 3 should be a table, { prompt = 0.1, completion = 0.4 }",
    ),
    ("m = { routes = [{ model = 'openai/x', api_key = 'sk-x' }] }", f"m, route 1, api_key: {NO_KEYS}"),
    (
        "m = { routes = [{ model = 'openai/x', api_key_env = 'sk-1234567890' }] }",
        f"m, route 1, api_key_env: {KEY_ENV}",
    ),
    (
        "m = { routes = [{ model = 'openai/x', api_key_env = 'gsk_1234567890' }] }",
        f"m, route 1, api_key_env: {KEY_ENV}",
    ),
    (
        "m = { routes = [{ model = 'openai/x', api_key_env = ['opensesame'] }] }",
        "m, route 1, api_key_env: the value (not shown) should be a string",
    ),
    (
        "openai_api_key = 'opensesame'",
        "openai_api_key: the value (not shown) should be a table, [models.openai_api_key]",
    ),
    (
        "m = { routes = [{ model = { token = 'opensesame', n = [1, true] } }] }",
        "m, route 1, model: { token = the value (not shown), n = [1, true] } should be a string",
    ),
    (
        "m = { routes = ['command/cdex'] }",
        (
            "m, route 1: 'command/cdex' is not a preset, did you mean command/codex? "
            'Write another program as { command = ["my-model"] }'
        ),
    ),
    (
        "m = { routes = ['command/ls'] }",
        "m, route 1: 'command/ls' is not a preset; write another program as { command = [\"my-model\"] }",
    ),
    ("m = { routes = [{ command = 5 }] }", "m, route 1, command: 5 should be a list"),
    ("m = { routes = [{ command = ['a', 3] }] }", "m, route 1, command 2: 3 should be a string"),
    ("m = { routes = [{ command = [] }] }", "m, route 1, command: is empty; name at least one"),
    (
        "m = { routes = [{ command = [''] }] }",
        "m, route 1, command: the first entry should be a program, such as claude",
    ),
    (
        "m = { routes = [{ command = 'claude --model opus' }] }",
        (
            "m, route 1, command: 'claude --model opus' should be a list of the program and its arguments, "
            '["claude", "--model", "opus"]'
        ),
    ),
    (
        "m = { routes = [{ command = ['a', 'sk-1234567890'] }] }",
        "m, route 1, command: should not contain a key; set env to the variable that holds it",
    ),
    ('m = { routes = [{ command = ["a", "\\u0000"] }] }', NO_NULL),
    (
        "m = { routes = [{ command = 'a', model = 'openai/x' }] }",
        "m, route 1: has both model and command; remove one of them",
    ),
    (
        "m = { routes = [{ command = 'a', api_base = 'http://h/v1' }] }",
        "m, route 1: api_base does not apply to a route with a command; remove it",
    ),
    (
        "m = { routes = [{ model = 'openai/x', env = ['A'] }] }",
        "m, route 1: env applies only to a route with a command; remove it",
    ),
    (
        "m = { routes = [{ command = 'a', env = ['TOKEN=opensesame'] }] }",
        "m, route 1, env: should name environment variables, such as MY_MODEL_TOKEN, not their values",
    ),
    ("m = { routes = [{ command = 'a', input = 'argument' }] }", "m, route 1, input: 'argument' should be 'stdin'"),
    ("m = { routes = [{ command = 'a', output = 'json' }] }", f"m, route 1, output: 'json' {OUTPUT}"),
    (
        "m = { routes = [{ command = 'a', output = { json = 'a..b' } }] }",
        f"m, route 1, output: {{ json = 'a..b' }} {OUTPUT}",
    ),
    (
        "m = { routes = [{ command = 'a', output = { jsn = 'a' } }] }",
        f"m, route 1, output: {{ jsn = 'a' }} {OUTPUT}",
    ),
]

NAMES = [
    ("Vote", "Vote"),
    ("1st", "1st"),
    ("my-vote", "my-vote"),
    ('"my vote"', '"my vote"'),
    ('""', '""'),
    ("a" * 49, "a" * 49),
]


@pytest.mark.parametrize(("text", "fault"), FILE)
def test_a_faulty_file(text: str, fault: str) -> None:
    assert faults(text) == [fault]


@pytest.mark.parametrize(("lines", "fault"), SETTING_FAULTS)
def test_a_faulty_setting(lines: str, fault: str) -> None:
    assert faults(f"{lines}\n{GOOD}") == [fault]


def test_a_step_that_names_a_program_without_a_preset() -> None:
    assert faults(pipe(X.replace("openai/x", "command/cluade"))) == [
        (
            "pipelines.p, step 1, agent 1: unknown model 'command/cluade', did you mean 'command/claude'? "
            'Add a table [models."command/cluade"], or use a route such as openai/gpt-5-nano'
        )
    ]


@pytest.mark.parametrize(("line", "fault"), MODELS)
def test_a_faulty_model(line: str, fault: str) -> None:
    assert faults(f"[models]\n{line}\n{GOOD}") == [f"models.{fault}"]


@pytest.mark.parametrize(("name", "shown"), NAMES)
def test_a_pipeline_whose_name_no_tool_can_have(name: str, shown: str) -> None:
    rule = "use lower-case letters, digits and underscores, start with a letter, at most 48 characters"
    unquoted = name.strip('"')
    assert faults(f"[pipelines.{name}]\nsteps = [{X}]") == [
        f"pipelines.{shown}: {unquoted!r} is not a valid tool name: {rule}"
    ]


@pytest.mark.parametrize("name", [tool.name for tool in (*own_tools(), view_tool())])
def test_a_pipeline_with_the_name_of_one_of_the_servers_own_tools(name: str) -> None:
    assert faults(f"[pipelines.{name}]\nsteps = [{X}]") == [
        f"pipelines.{name}: '{name}' is the name of a built-in tool; use another name"
    ]


def test_several_faults_are_told_at_once_in_one_message_that_names_the_file() -> None:
    text = (
        "[defaults]\nquorum = 0\n[pipelines.vote]\nsteps = [" + XY + ', { step = "take", n = 0 }, { step = "votes" }]'
    )
    with pytest.raises(ConfigError) as caught:
        parse(text, "mine.toml")
    assert str(caught.value) == (
        "mine.toml: 3 problems\n"
        "  defaults.quorum: 0 should be at least 1\n"
        "  pipelines.vote, step 2, n: 0 should be at least 1\n"
        f"  pipelines.vote, step 3, step: unknown step 'votes', did you mean 'vote'? The steps are {KINDS}"
    )


def test_one_fault_is_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(pipe(XY, '{ step = "take", n = 0 }'), "mine.toml")
    assert str(caught.value) == "mine.toml: pipelines.p, step 2, n: 0 should be at least 1"


def test_a_long_value_is_shown_in_part() -> None:
    (fault,) = faults(f"[defaults]\ntemperature = '{'w' * 500}'\n{GOOD}")
    assert fault == f"defaults.temperature: '{'w' * 119}… should be a number"
