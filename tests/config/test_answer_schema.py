"""The answer schema of a pipeline: a table or JSON in the file, and its faults."""

from __future__ import annotations

import json

import pytest

from moa_mcp.config import parse
from moa_mcp.errors import ConfigError

PIPELINE = '[pipelines.p]\ndescription = "x"\nsteps = [{ step = "propose", agents = ["openai/x"] }]\n'
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize(
    "written",
    [
        f"answer_schema = '{json.dumps(SCHEMA)}'",
        f"answer_schema = '''\n{json.dumps(SCHEMA, indent=4)}\n'''",
        'answer_schema = { type = "object", properties.a.type = "integer", required = ["a"] }',
        '[pipelines.p.answer_schema]\ntype = "object"\nproperties = { a = { type = "integer" } }\nrequired = ["a"]',
    ],
)
def test_a_pipeline_has_a_schema_as_a_table_or_as_json(written: str) -> None:
    schema = parse(f"{PIPELINE}{written}\n").pipelines["p"].answer_schema
    assert json.loads(schema or "") == SCHEMA


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('answer_schema = { type = "objekt" }', "is invalid at #/type: 'objekt' is not valid under any of the given"),
        ("answer_schema = '{\"type\"'", "is not JSON: Expecting ':' delimiter"),
        ("answer_schema = 3", 'should be an object, such as {"type": "object"}'),
        ("answer_schema = { const = 2026-01-01 }", "is not JSON: Object of type date is not JSON serializable"),
    ],
)
def test_a_fault_of_it_names_the_key_and_the_place(written: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{PIPELINE}{written}\n", source="mine.toml")
    assert str(caught.value).startswith("mine.toml: pipelines.p.answer_schema: ")
    assert told in str(caught.value)
