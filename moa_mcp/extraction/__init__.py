"""What an answer comes down to, in a form in which equal answers are equal, or None where it does not say.

One module for each kind of value; each states its rules. All of them read characters of all widths and scripts alike
(`folding`), and take time in proportion to the length of the answer.
"""

from moa_mcp.extraction.choices import choice_letter
from moa_mcp.extraction.fields import json_field
from moa_mcp.extraction.numbers import last_number
from moa_mcp.extraction.numerals import DecimalMark
from moa_mcp.extraction.patterns import TIME_LIMIT_S, PatternTooSlow, fault_of, last_match
from moa_mcp.extraction.texts import whole_text

__all__ = [
    "TIME_LIMIT_S",
    "DecimalMark",
    "PatternTooSlow",
    "choice_letter",
    "fault_of",
    "json_field",
    "last_match",
    "last_number",
    "whole_text",
]
