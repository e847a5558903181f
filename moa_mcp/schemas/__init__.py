"""The JSON that a run answers with: the schema of a user, checked before anything is paid, and replies read by it.

It knows no models, prompts or runs. `jsonschema` validates; it is imported when the first schema is used.
"""

from __future__ import annotations

from moa_mcp.schemas.checking import SchemaRefused, checked, checked_value, fault_of_answer_schema
from moa_mcp.schemas.portable import sending
from moa_mcp.schemas.reading import JsonReply, read
from moa_mcp.schemas.strict_json import NotJson, indented, parsed

__all__ = [
    "JsonReply",
    "NotJson",
    "SchemaRefused",
    "checked",
    "checked_value",
    "fault_of_answer_schema",
    "indented",
    "parsed",
    "read",
    "sending",
]
