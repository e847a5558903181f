// The page of one run: status, question, answer, facts, notes, then what happened.
import {answers} from "./answers.js";
import {commands} from "./commands.js";
import {el, markdown} from "./elements.js";
import {answered, callsOf, count, counted, dollars, duration, elapsed, keyOf, tokens} from "./figures.js";
import {prompt} from "./prompt.js";
import {timeline} from "./timeline.js";

export function drawRun(run, trees, view, source, change) {
  const pick = call => change({picked: keyOf(call), layer: call.place.step}, call);
  return [head(run), answer(run, trees), facts(run), notes(run), timeline(run, view.picked, pick),
    answers(run, trees, view.layer, view.picked, layer => change({layer}), pick), prompt(run, view.picked), commands(run, source)].filter(Boolean);
}

function head(run) {
  const status = run.interrupted ? "interrupted" : run.status;
  const {text, context, system} = run.question;
  return el("header", {class: "head"}, el("p", {class: "row"}, el("span", {class: `chip ${status}`, role: "status"}, status), el("span", {class: "quiet"}, run.pipeline), el("code", {class: "quiet"}, run.run_id),
    run.forked_from && el("span", {class: "chip"}, `fork of ${run.forked_from}`), run.resumed ? el("span", {class: "chip"}, `resumed ${counted(run.resumed, "time")}`) : null),
  el("h1", {}, text.length > 400 ? `${text.slice(0, 400)}…` : text), text.length > 400 ? folded("Whole question", text) : null, system ? folded("System prompt", system) : null, context ? folded(`Context (${count(context.length)} characters)`, context) : null);
}

const folded = (title, text) => el("details", {}, el("summary", {}, title), el("pre", {tabindex: 0}, text));

function answer(run, trees) {
  if (run.answer == null) return el("section", {class: "answer", "aria-label": "answer"}, el("p", {class: run.error ? "error" : "quiet"}, run.error ?? "No answer yet"));
  const tree = trees.get(run.answer);
  return el("section", {class: `answer ${tree ? "prose" : "raw"}`, "aria-label": "answer", tabindex: 0}, tree ? markdown(tree) : run.answer);
}

function facts(run) {
  const {estimate} = run, all = callsOf(run), used = tokens(run.usage);
  const failed = all.filter(call => call.failure).length, retried = all.filter(call => !call.failure && call.attempts.length > 1).length;
  const calls = [failed && `${failed} failed`, retried && `${retried} retried`].filter(Boolean).join(", ");
  const money = estimate?.cost_usd;
  return el("dl", {class: "facts"},
    fact("Time", duration(elapsed(run)), run.planned.length ? `${run.steps.length} of ${counted(run.planned.length, "step")}` : ""),
    fact("Calls answered", `${all.filter(answered).length}/${Math.max(all.length, estimate?.calls ?? 0)}`, calls),
    fact("Tokens", count(used), estimate ? `${count(estimate.tokens.expected)} expected` : "no estimate", scale(estimate?.tokens, used)),
    fact("Cost", dollars(run.cost_usd), money ? `${dollars(money.expected)} expected` : "no estimate", scale(money, run.cost_usd)));
}

const fact = (name, value, note, extra) => el("div", {}, el("dt", {}, name), el("dd", {}, el("b", {}, value), note && el("span", {}, note), extra));

function scale(range, actual) {
  const top = range && Math.max(range.max, actual ?? 0);
  if (!top) return null;
  const share = part => `${100 * part / top}%`;
  return el("span", {class: "scale", "aria-hidden": "true"}, el("i", {place: {left: share(range.min), width: share(range.max - range.min)}}), el("i", {class: "expected", place: {left: share(range.expected)}}),
    actual == null ? null : el("u", {place: {left: `min(${share(actual)}, calc(100% - 3px))`}}));
}

function notes(run) {
  const all = [...new Set([...run.degradations, ...run.notes])];
  return all.length ? el("ul", {class: "notes", "aria-label": "notes"}, all.map(note => el("li", {}, note))) : null;
}
