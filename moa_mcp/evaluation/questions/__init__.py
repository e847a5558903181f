"""The questions of an evaluation: read from a file, sampled, and known by their content."""

from moa_mcp.evaluation.questions.content import digest_of, key_of
from moa_mcp.evaluation.questions.fields import FIELDS, question_of, shown_with_choices
from moa_mcp.evaluation.questions.reading import QuestionFile, read_questions
from moa_mcp.evaluation.questions.sampling import sampled

__all__ = [
    "FIELDS",
    "QuestionFile",
    "digest_of",
    "key_of",
    "question_of",
    "read_questions",
    "sampled",
    "shown_with_choices",
]
