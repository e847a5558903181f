"""Money: no run, and no runs together, spend more than they may; what does not fit is left out in a stated order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp_types import TextContent

from moa_mcp.budget.worst_case import enough_usd
from moa_mcp.cli.remedies import Remedies
from moa_mcp.errors import AnswerEmpty, CallError, RateLimited, ServerFailed, TimedOut
from moa_mcp.journal import Journal
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.journal.spending import Commitment, Committed
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.middleware import Usable
from moa_mcp.planning.estimate import prices
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import NewRun, Run, RunRefused, Runs
from moa_mcp.server.results import of_run
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call, Completion, Price, Question, Rates, Target, Usage, token_limit
from tests.support.clocks import jumping
from tests.support.days import today
from tests.support.journals import config_of
from tests.support.starting import fork_run, resume_run, start_run
from tests.support.tables import AGGREGATE, PROPOSE

WHY = Question("Why?")
CENT = Decimal("0.01")
PRICE = Price(Rates(CENT, CENT, CENT, CENT), "the test")
"""A cent for every token."""
VOTE = '{ step = "vote", method = "majority" }'
SYNTHESIZE = '{ step = "synthesize", agents = ["x", "y"] }'


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


def priced(price: Price | None = PRICE, samples: int = 1) -> Usable:
    async def usable(alias: str) -> tuple[Target, ...]:
        return (Target(f"p/{alias}", "p", price=price, samples=samples),)

    return usable


@dataclass
class Provider:
    """A provider that keeps to max_tokens and bills what it says; `answer` decides, anew for every call."""

    answer: Callable[[Call], Awaitable[Completion]]
    price: Price | None = PRICE
    samples: int = 1
    """How many answers one request can bring."""
    billed: Decimal = Decimal(0)
    calls: list[Call] = field(default_factory=list[Call])

    async def __call__(self, call: Call) -> Completion:
        self.calls.append(call)
        return await self.answer(call)

    def fails_at(self, agent: str, error: CallError) -> Callable[[Call], Awaitable[Completion]]:
        """Let one agent fail from now on; return how all answered before."""
        plenty = self.answer

        async def failing(call: Call) -> Completion:
            if call.agent == agent:
                raise error
            return await plenty(call)

        self.answer = failing
        return plenty

    def bill(self, prompt_tokens: int, completion_tokens: int) -> tuple[Usage, Decimal]:
        usage = Usage(prompt_tokens, completion_tokens)
        cost = (self.price or PRICE).cost_usd(usage)
        self.billed += cost
        return usage, cost

    def runs(self, budget: str = "", *steps: str, journal: Journal | None = None) -> Runs:
        settings = f"defaults.max_tokens = 100\nlimits.attempts = 2\n[budget]\n{budget}"
        config = config_of(*steps, settings=settings)
        return Runs(config, Backend(self, lambda _: priced(self.price, self.samples)), journal)

    def asked(self, step: int) -> int:
        return sum(call.place.step == step for call in self.calls)


def saying(tokens: int = 10, seconds: float = 1.0) -> Provider:
    """Return a provider whose answers, and prompts, are billed as so many tokens."""

    async def answer(call: Call) -> Completion:
        await anyio.sleep(seconds)
        usage, cost = provider.bill(tokens, tokens)
        return Completion(f"{call.agent} says so", call.agent, usage=usage, cost_usd=cost)

    provider = Provider(answer)
    return provider


async def ended(runs: Runs) -> Trace:
    async with runs.open():
        run = await start_run(runs, runs.config.pipelines["p"], WHY, seed=0)
        await run.ended.wait()
    return run.trace


@pytest.mark.anyio
async def test_a_run_that_fits_its_budget_is_complete_and_says_what_was_expected_beside_what_it_took() -> None:
    provider = saying()
    trace = await ended(provider.runs("max_cost_usd = 500", PROPOSE, AGGREGATE))
    assert (trace.status, trace.cost_usd) == ("complete", provider.billed)
    assert trace.estimated is not None
    assert trace.estimated.cost_usd is not None
    assert provider.billed < trace.estimated.cost_usd.expected < trace.estimated.cost_usd.max
    assert trace.estimated.max_cost_usd == 500


@pytest.mark.anyio
@pytest.mark.parametrize(("cap", "most_at_once"), [(500, 3), (2, 1)])
async def test_what_could_cost_too_much_together_is_asked_one_after_the_other(cap: int, most_at_once: int) -> None:
    provider = saying()
    under_way: list[int] = []
    answered: list[Call] = []
    quick = provider.answer

    async def answer(call: Call) -> Completion:
        under_way.append(len(provider.calls) - len(answered))
        completion = await quick(call)
        answered.append(call)
        return completion

    provider.answer = answer
    trace = await ended(provider.runs(f"max_cost_usd = {cap}", PROPOSE, VOTE))
    assert (trace.answer, len(answered)) == ("a says so", 3)
    assert max(under_way) == most_at_once


@pytest.mark.anyio
async def test_samples_are_left_out_first_then_layers_and_the_aggregator_is_always_paid() -> None:
    forms: list[tuple[int, int, int]] = []
    for dollars in range(10, 50, 2):
        provider = saying(tokens=100)
        trace = await ended(provider.runs(f"max_cost_usd = {dollars}"))
        assert provider.billed <= dollars
        if trace.status == "failed":
            assert provider.calls == []
            assert trace.error is not None
            assert trace.error.startswith("no model was called: the minimum run")
            continue
        forms.append((provider.asked(1), provider.asked(2), provider.asked(3)))
        assert trace.answer == "z says so"
        assert (trace.status == "degraded") == (forms[-1] != (3, 2, 1))
    assert forms == sorted(forms)
    assert set(forms) == {(1, 0, 1), (1, 1, 1), (1, 2, 1), (2, 2, 1), (3, 2, 1)}


@pytest.mark.anyio
async def test_a_budget_of_what_the_estimate_calls_enough_leaves_nothing_out_of_the_dearest_run() -> None:
    async def dearest(call: Call) -> Completion:
        prompt = sum(len(message.content.encode()) for message in call.messages)
        usage, cost = provider.bill(prompt, token_limit(call.parameters) or 0)
        return Completion("word " * 100, call.agent, usage=usage, cost_usd=cost)

    provider = Provider(dearest)
    runs = provider.runs()
    pipeline = runs.config.pipelines["p"]
    enough = enough_usd(pipeline, WHY, await prices(pipeline, priced()))
    trace = await ended(provider.runs(f"max_cost_usd = {enough}"))
    assert (trace.status, len(provider.calls)) == ("complete", 6)


@pytest.mark.anyio
async def test_a_degraded_run_says_what_its_budget_left_out() -> None:
    trace = await ended(saying(tokens=100).runs("max_cost_usd = 40", PROPOSE, SYNTHESIZE, AGGREGATE))
    assert trace.status == "degraded"
    assert all("max_cost_usd = $40.00 is too low for this call" in reason for reason in trace.degradations)
    assert "which may take up to" in trace.degradations[0]


@pytest.mark.anyio
@pytest.mark.parametrize("cap", ["max_cost_usd_per_day = 45", "max_cost_usd_per_server = 45"])
async def test_runs_share_the_budget_of_a_day_and_of_a_server(cap: str) -> None:
    provider = saying(tokens=100)
    runs = provider.runs(cap, PROPOSE, AGGREGATE)
    async with runs.open():
        started = [await start_run(runs, runs.config.pipelines["p"], WHY) for _ in range(5)]
        for run in started:
            await run.ended.wait()
    assert provider.billed <= 45
    answered = [run.trace for run in started if run.trace.answer]
    refused = [run.trace for run in started if run.trace.status == "failed"]
    assert len(answered) + len(refused) == 5
    assert answered
    assert all(trace.error and cap.partition(" ")[0] in trace.error for trace in refused)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [jumping("asyncio")])
async def test_the_budget_of_a_day_holds_for_all_servers_on_one_journal(tmp_path: Path) -> None:
    provider = saying(tokens=100)
    path = tmp_path / "journal.sqlite"
    cap = "max_cost_usd_per_day = 21"
    steps = [step.replace(" }", ", hedge = false }") for step in (PROPOSE, AGGREGATE)]  # the clock jumps during writes
    traces = [await ended(provider.runs(cap, *steps, journal=SQLiteJournal(path))) for _ in range(3)]
    assert [trace.answer for trace in traces] == ["z says so", "z says so", None]
    assert traces[2].error
    assert "max_cost_usd_per_day = $21.00" in traces[2].error
    assert provider.billed <= 21


@pytest.mark.anyio
async def test_a_cap_in_tokens_holds_for_models_of_unknown_price() -> None:
    provider = Provider(saying(tokens=100).answer, price=None)
    trace = await ended(provider.runs("max_run_tokens = 2000\nmax_cost_usd = 1"))
    assert trace.status == "degraded"
    assert "max_run_tokens = 2000 tokens is too low for this call" in trace.degradations[0]
    assert "the price of a is unknown: only max_run_tokens limits its use, not max_cost_usd" in trace.notes
    assert len(provider.calls) < 6


@pytest.mark.anyio
async def test_a_model_of_unknown_price_is_not_asked_where_prices_must_be_known() -> None:
    provider = Provider(saying().answer, price=None)
    runs = provider.runs('unpriced = "refuse"')
    refused = await runs.admit(NewRun(pipeline=runs.config.pipelines["p"], question=WHY))
    assert refused == RunRefused(
        "unpriced",
        'the price of a, b, c, x, y, z is not known, and unpriced = "refuse"; give its route usd_per_million, or set '
        'unpriced = "allow"',
        ("a", "b", "c", "x", "y", "z"),
    )


async def resumed(runs: Runs, run: Run, max_cost_usd: int | None = None) -> Trace:
    again = await resume_run(runs, run.run_id, max_cost_usd=None if max_cost_usd is None else Decimal(max_cost_usd))
    await again.ended.wait()
    return again.trace


@pytest.mark.anyio
async def test_a_run_whose_aggregator_can_not_be_paid_keeps_its_proposals_and_is_finished_with_more_money() -> None:
    provider = saying(tokens=10)
    plenty = provider.fails_at("z", TimedOut("took too long"))  # may have been paid: nobody knows
    aggregate = AGGREGATE.replace(" }", ", hedge = false }")
    runs = provider.runs("max_cost_usd = 29", PROPOSE, aggregate)
    async with runs.open():
        run = await start_run(runs, runs.config.pipelines["p"], WHY, seed=0)
        await run.ended.wait()
        failed = await resumed(runs, run)
        assert failed.error
        assert "max_cost_usd = $29.00 is too low for this call" in failed.error
        assert failed.reason == "budget"
        assert "--max-cost USD" in Remedies(runs.config, None, None, offline=False).of_failed(failed)
        (answer, *_) = of_run(failed, simulated=False, shared=False).content
        assert isinstance(answer, TextContent)
        assert "call moa_resume with" in answer.text
        assert "max_cost_usd" in answer.text
        provider.answer = plenty
        refused = await resumed(runs, run)
        assert refused.error
        assert refused.error.startswith("no model was called: the minimum run")
        finished = await resumed(runs, run, 90)
    assert (finished.status, finished.answer) == ("complete", "z says so")
    assert (provider.asked(1), provider.asked(2)) == (3, 4)


@pytest.mark.anyio
async def test_what_nobody_said_the_cost_of_counts_at_its_dearest_when_a_run_goes_on() -> None:
    async def silent(call: Call) -> Completion:
        if call.agent == "z":
            raise ServerFailed("no")
        return Completion("Yes.", call.agent)

    runs = Provider(silent).runs("max_cost_usd = 40", PROPOSE, AGGREGATE)
    async with runs.open():
        run = await start_run(runs, runs.config.pipelines["p"], WHY, seed=0)
        await run.ended.wait()
        refused = await resumed(runs, run, 10)
        again = await resumed(runs, run, 14)
    assert refused.error
    assert refused.error.startswith("no model was called: the minimum run")
    assert again.error == "step 2 (aggregate): no answer came: z: no"


@pytest.mark.anyio
async def test_what_a_fork_takes_over_is_not_in_its_budget_when_it_goes_on() -> None:
    provider = saying(tokens=100)
    plenty = provider.fails_at("z", ServerFailed("no"))  # unpaid
    journal = MemoryJournal()
    runs = provider.runs("", PROPOSE, AGGREGATE, journal=journal)
    async with runs.open():
        pipeline = runs.config.pipelines["p"]
        run = await start_run(runs, pipeline, WHY, seed=0)
        await run.ended.wait()
        fork = await fork_run(runs, run.run_id, 2, pipeline, max_cost_usd=Decimal(12))
        await fork.ended.wait()
        provider.answer = plenty
        finished = await resumed(runs, fork)
    assert fork.trace.status == "failed"
    assert (finished.status, finished.cost_usd) == ("complete", Decimal(2))
    assert await journal.spending(today()) == provider.billed * 10**9


@pytest.mark.anyio
async def test_what_processes_without_a_cap_for_the_day_have_spent_counts_for_one_that_has() -> None:
    journal = MemoryJournal()
    await ended(saying(tokens=100).runs("", PROPOSE, VOTE, journal=journal))
    provider = saying(tokens=100)
    refused = await ended(provider.runs("max_cost_usd_per_day = 7", PROPOSE, VOTE, journal=journal))
    assert refused.error
    assert "max_cost_usd_per_day = $7.00 is too low" in refused.error
    assert provider.calls == []


@pytest.mark.anyio
@pytest.mark.parametrize(("cap", "second_requests"), [(40, 1), (36, 0)])
async def test_a_second_request_is_sent_only_if_the_budget_covers_all_later_calls_too(
    cap: float, second_requests: int
) -> None:
    panel = '{ step = "propose", agents = ["a", "b", "c", "x"], grace_s = inf }'
    quick = saying(tokens=10)

    async def answer(call: Call) -> Completion:
        if call.agent == "x" and not call.spare:
            await anyio.sleep(6)
        return await quick.answer(call)

    provider = Provider(answer)
    trace = await ended(provider.runs(f"max_cost_usd = {cap}", panel, AGGREGATE))
    assert (trace.status, len(trace.steps[0].answers)) == ("complete", 4)
    assert len([call for call in provider.calls if call.spare]) == second_requests


LAST = [AGGREGATE, VOTE, '{ step = "aggregate", agent = "z", fallback_agent = "y" }']
PANELS = st.lists(
    st.sampled_from(
        [
            PROPOSE,
            SYNTHESIZE,
            '{ step = "propose", agents = [{ model = "a", samples = 3 }, "b"], quorum = 2, keep = 1 }',
            '{ step = "refine", agents = ["b", "c"] }',
            '{ step = "rank", agent = "y", n = 2, passes = 2 }',
            '{ step = "dropout", rate = 0.5 }',
            '{ step = "propose", agents = [{ model = "a", samples = 5 }], stop = { ahead_by = 2 } }',
            '{ step = "synthesize", agents = ["x", "y", "z"], hedge = true, grace_s = 1 }',
        ]
    ),
    max_size=3,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(PANELS, st.integers(2, 70), st.sampled_from(["run", "server", "day"]), st.integers(0, 2**32))
@pytest.mark.anyio
async def test_no_interleaving_of_calls_failures_and_cancellations_spends_more_than_the_cap(
    middle: list[str], cap: int, share: str, seed: int
) -> None:
    rng = Random(seed)

    async def answer(call: Call) -> Completion:
        await anyio.sleep(rng.uniform(0, 3))
        most = sum(len(message.content) for message in call.messages)
        limit = token_limit(call.parameters) or 0
        fate = rng.random()
        if fate < 0.1:
            raise rng.choice([RateLimited("too many", retry_after_s=1.0), ServerFailed("no")])
        share = rng.choice([0.1, 1.0])
        usage, cost = provider.bill(int(share * most), int(share * limit) * call.samples)
        await anyio.sleep(rng.uniform(0, 3))  # it is billed, and may be stopped before anybody knows how much it was
        if fate < 0.2:
            raise TimedOut("took too long")
        if fate < 0.3:
            error: CallError = AnswerEmpty("no text", at_limit=fate < 0.25)
            error.usage, error.cost_usd = rng.choice([(usage, cost), (None, None)])
            raise error
        known = fate < 0.9
        text = "word " * rng.randrange(1, 60)
        others = (Completion(text, "p/m"),) * rng.randrange(call.samples)
        return Completion(text, "p/m", usage=usage if known else None, cost_usd=cost if known else None, others=others)

    provider = Provider(answer, samples=rng.choice([1, 3]))
    name = {"run": "max_cost_usd", "server": "max_cost_usd_per_server", "day": "max_cost_usd_per_day"}[share]
    runs = provider.runs(
        f"{name} = {cap}",
        PROPOSE,
        *middle,
        rng.choice([AGGREGATE, VOTE, AGGREGATE.replace("}", ', fallback_agent = "y" }')]),
    )
    together: list[Run] = []
    async with runs.open():
        for _ in range(1 if share == "run" else 3):
            together.append(await start_run(runs, runs.config.pipelines["p"], WHY, seed=seed))
            await anyio.sleep(rng.uniform(0, 4))
        for _ in range(3):
            await anyio.sleep(rng.uniform(0, 6))
            await runs.cancel(rng.choice(together).run_id)
            for run in together:
                if run.ended.is_set() and run.trace.status in {"failed", "cancelled"}:
                    together[together.index(run)] = await resume_run(runs, run.run_id)
        for run in together:
            await run.ended.wait()
    assert provider.billed <= cap


class SlowJournal(MemoryJournal):
    """A journal that takes a while to store what a run commits."""

    async def commit_spending(self, wanted: Commitment) -> Committed:
        await anyio.sleep(0.7)
        return await super().commit_spending(wanted)


@pytest.mark.anyio
async def test_what_a_call_releases_while_the_journal_stores_the_amount_of_another_can_be_spent() -> None:
    provider, journal = saying(tokens=10, seconds=1.0), SlowJournal()
    steps = [step.replace(" }", ", hedge = false }") for step in (PROPOSE, AGGREGATE)]
    trace = await ended(provider.runs("max_cost_usd_per_day = 29", *steps, journal=journal))
    assert trace.status == "complete"
    assert await journal.spending(today()) == provider.billed * 10**9
