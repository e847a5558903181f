// The page of one run: status, question, answer, facts, notes, then what happened.
import {answers} from "./answers.js";
import {choices} from "./choices.js";
import {commands} from "./commands.js";
import {el, folded, quiet, region, written} from "./elements.js";
import {answered, count, counted, dollars, duration, elapsed, keyOf, ownCalls, statusOf, tokens} from "./figures.js";
import {prompt} from "./prompt.js";
import {timeline} from "./timeline.js";
const LONG_QUESTION = 400;
const LONG_ANSWER = 6000;

export function drawRun(run, trees, view, source, change) {
  const pick = call => change({picked: keyOf(call), layer: call.place.step}, call);
  return [head(run), answer(run, trees), facts(run), notes(run), drawings.agreement?.(run), drawings.findings?.(run), choices(run, pick), timeline(run, view.picked, pick),
    answers(run, trees, view.layer, view.picked, layer => change({layer}), pick), prompt(run, view.picked), commands(run, source)].filter(Boolean);
}

export const drawings = {run: ({run, trees}, ...rest) => drawRun(run, trees, ...rest)};  // compare.js adds that of two runs, findings.js that of what members found

function head(run) {
  return el("header.head", el("p.row", el("span", {class: `chip ${statusOf(run)}`, role: "status"}, statusOf(run)), quiet(run.pipeline), el("code.quiet", run.run_id),
    run.forked_from && el("span.chip", `fork of ${run.forked_from}`), run.resumed ? el("span.chip", `resumed ${counted(run.resumed, "time")}`) : null), question(run.question));
}

export function question({text, context, system}) {
  const block = content => el("pre", region("text"), content);
  return [el("h1", text.length > LONG_QUESTION ? `${text.slice(0, LONG_QUESTION)}…` : text || "(the question is not stored)"), text.length > LONG_QUESTION ? folded("Whole question", block(text)) : null,
    system ? folded("System prompt", block(system)) : null, context ? folded(`Context (${counted(context.length, "character")})`, block(context)) : null];
}

function answer(run, trees) {
  if (run.answer == null) return el("section.answer", {"aria-label": "answer"}, el("p", {class: run.error ? "error" : "quiet"}, run.error ?? "No answer yet"));
  const shown = written(run.answer, trees, "answer", "answer");
  return run.answer.length > LONG_ANSWER ? el("div.long", shown, el("label", el("input", {type: "checkbox"}), ` Show all ${counted(run.answer.length, "character")}`)) : shown;
}

function facts(run) {
  const {estimate} = run, own = ownCalls(run), used = tokens(run.usage);
  const failed = own.filter(call => call.failure).length, retried = own.filter(call => !call.failure && call.attempts.length > 1).length;
  const saved = run.saved_calls;
  const calls = [failed && `${failed} failed`, retried && `${retried} retried`, saved && `${saved} not needed`, run.inherited_steps && `${counted(run.inherited_steps, "step")} reused`].filter(Boolean).join(", ");
  const money = estimate?.cost_usd, expected = run.status === "running" ? estimate?.calls ?? 0 : 0;
  return el("dl.facts",
    fact("Time", duration(elapsed(run)), run.planned.length ? `${run.steps.length} of ${counted(run.planned.length, "step")}` : ""),
    fact("Calls answered", `${count(own.filter(answered).length)}/${count(Math.max(own.length, expected))}`, calls),
    fact("Tokens", count(used), estimate ? `${count(estimate.tokens.expected)} expected` : "no estimate", scale(estimate?.tokens, used, count)),
    fact("Cost", dollars(run.cost_usd), money ? `${dollars(money.expected)} expected` : "no estimate", scale(money, run.cost_usd, dollars)));
}

const fact = (name, value, note, extra) => el("div", el("dt", name), el("dd", el("b", value), note && el("span", note), extra));

function scale(range, actual, write) {
  const top = range && Math.max(range.max, actual ?? 0);
  if (!top) return null;
  const share = part => `${100 * part / top}%`;
  return el("span.scale", {role: "img", "aria-label": `estimated from ${write(range.min)} to ${write(range.max)}`, title: `estimated from ${write(range.min)} to ${write(range.max)}`},
    el("i", {place: {left: share(range.min), width: share(range.max - range.min)}}), el("i.expected", {place: {left: share(range.expected)}}),
    actual == null ? null : el("u", {place: {left: `min(${share(actual)}, calc(100% - 3px))`}}));
}

function notes(run) {
  const why = new Set(run.degradations), all = [...new Set([...run.degradations, ...run.notes])];
  return all.length ? el("ul", {class: `notes${why.size ? "" : " plainly"}`, "aria-label": "notes"}, all.map(note => el("li", {class: why.has(note) ? "why" : ""}, note))) : null;
}
