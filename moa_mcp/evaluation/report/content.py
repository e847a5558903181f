"""The questions of an evaluation as data for its page, with long texts shortened so that the page stays loadable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from moa_mcp.evaluation.result import AskedQuestion, Evaluation, MemberSample, Outcome, Verdict
from moa_mcp.viewer.data import PARSED, Json, packed, shown_tree

ALL_ANSWERS = 12_000_000
"""Maximum characters of all answers together."""
_LONGEST, _SHORTEST = 20_000, 1_000
"""Characters to which an answer is shortened: the first of few answers, the second of very many."""
_QUESTION, _EXPECTED, _REASON = 8_000, 4_000, 2_000
_HEAD = 0.6
"""The share of a shortened text that is its beginning. The rest is its end, where answers have their result."""


def data_of_questions(evaluation: Evaluation, *, links: bool) -> dict[str, Json]:
    """Return the questions with the answers of all contestants, and how each was scored."""
    answers = [each.answer for each in evaluation.outcomes if each.answer]
    limit = max(_SHORTEST, min(_LONGEST, ALL_ANSWERS // max(1, len(answers))))
    outcomes: defaultdict[str, dict[str, Json]] = defaultdict(dict)
    samples = _samples(evaluation)
    for each in evaluation.outcomes:
        own = samples[each.question, each.contestant]
        outcomes[each.question][each.contestant] = _outcome(each, own, limit)
    verdicts: defaultdict[str, list[Json]] = defaultdict(list)
    for verdict in evaluation.verdicts:
        verdicts[verdict.question].append(_verdict(verdict))
    questions: list[Json] = [_question(each, outcomes[each.id], verdicts[each.id]) for each in evaluation.questions]
    return packed(
        {
            "links": links,
            "contestants": [each.name for each in evaluation.contestants],
            "pairs": _pairs(evaluation),
            "questions": questions,
            "markdown": [*_markdown(answers, limit)],
        }
    )


def shortened(text: str, limit: int) -> str:
    """Return a text of about `limit` characters that says how many are left out; the text itself if it is no longer."""
    if len(text) <= limit:
        return text
    head = int(limit * _HEAD)
    left_out = len(text) - limit
    tail = text[head + left_out :]
    return f"{text[:head]}\n\n[shortened: {left_out:,} of {len(text):,} characters left out]\n\n{tail}"


def _pairs(evaluation: Evaluation) -> list[Json]:
    """Return what can be compared, contestant and baseline."""
    found = [(each.contestant, each.against) for each in evaluation.comparisons]
    found += [(each.contestant, each.against) for each in evaluation.duels]
    return [[one, two] for one, two in dict.fromkeys(found)]


def _question(asked: AskedQuestion, outcomes: Mapping[str, Json], verdicts: list[Json]) -> Json:
    question: dict[str, Json] = {
        "id": asked.id,
        "line": asked.line,
        "text": shortened(asked.question, _QUESTION),
        "outcomes": {**outcomes},
    }
    optional: dict[str, Json] = {
        "answer": None if asked.answer is None else shortened(asked.answer, _EXPECTED),
        "choices": [shortened(each, _EXPECTED) for each in asked.choices],
        "cluster": asked.cluster,
        "verdicts": verdicts,
    }
    return question | _known(optional)


def _samples(evaluation: Evaluation) -> dict[tuple[str, str], Sequence[MemberSample]]:
    """Return the samples of each outcome, by question and contestant.

    Those of a derived one are in the outcome of its pipeline. Without scores they have no part in it.
    """
    found: dict[tuple[str, str], Sequence[MemberSample]] = {
        (each.question, each.contestant): each.samples for each in evaluation.outcomes
    }
    of = {each.name: each for each in evaluation.contestants if each.derived_from is not None}
    for question, name in found:
        if name in of:
            every = found.get((question, of[name].derived_from or ""), ())
            own = [each for each in every if each.number in of[name].samples]
            found[question, name] = own if any(each.score is not None for each in own) else ()
    return found


def _outcome(outcome: Outcome, samples: Iterable[MemberSample], limit: int) -> Json:
    optional: dict[str, Json] = {
        "answer": None if outcome.answer is None else shortened(outcome.answer, limit),
        "score": outcome.score,
        "extracted": None if outcome.extracted is None else shortened(outcome.extracted, _REASON),
        "why": shortened(outcome.why, _REASON),
        "problem": shortened(outcome.problem, _REASON),
        "cost": None if outcome.cost_usd is None else float(outcome.cost_usd),
        "unknown": outcome.unknown_costs,
        "calls": outcome.calls,
        "seconds": outcome.seconds,
        "run": outcome.run_id,
        "agreement": outcome.agreement,
        "samples": [_sample(each) for each in samples],
        "judges": [*outcome.judge_runs],
    }
    return {"status": outcome.status} | _known(optional)


def _sample(sample: MemberSample) -> Json:
    extracted = None if sample.extracted is None else shortened(sample.extracted, _REASON)
    return {"model": sample.model, **_known({"extracted": extracted, "score": sample.score})}


def _verdict(verdict: Verdict) -> Json:
    return {
        "contestant": verdict.contestant,
        "against": verdict.against,
        "first": verdict.contestant if verdict.first == "contestant" else verdict.against,
        "preferred": verdict.preferred,
        **_known({"why": shortened(verdict.why, _REASON), "problem": verdict.problem, "run": verdict.run_id}),
    }


def _known(fields: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields that have something; zero is something, since a score or a cost may be zero."""
    return {name: value for name, value in fields.items() if value not in (None, "", []) and value != {}}


def _markdown(answers: Iterable[str], limit: int) -> Iterator[list[Json]]:
    """Yield each answer with its tree of Markdown; nothing if all together are too long to parse."""
    texts = dict.fromkeys(shortened(each, limit) for each in answers)
    if sum(map(len, texts)) > PARSED:
        return
    for text in texts:
        parsed = shown_tree(text)
        if parsed is not None:
            yield [text, parsed]
