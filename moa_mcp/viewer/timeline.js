// When each call ran, to scale. Old runs have no start times: their calls begin with their step.
import {el, more, quiet, section} from "./elements.js";
import {answered, duration, keyOf, layers, named, outcome, ownCalls, priced, total} from "./figures.js";
import {scaleOf, spans} from "./scale.js";
const ROWS = 100;

function placed(run) {  // [{step, reused, calls: [{call, from, to, attempts}], end}], in seconds since the first call
  const zero = ownCalls(run).reduce((first, {started_at}) => started_at ? Math.min(first, started_at) : first, Infinity);
  let at = 0;
  return layers(run).map(step => {
    const reused = step.step <= run.inherited_steps;
    const calls = step.calls.map(call => spans(call, zero === Infinity ? run.started_at : zero, at));
    const end = calls.reduce((last, each) => Math.max(last, each.to), 0);
    if (!reused) at = end;
    return {step, reused, calls, end};
  });
}

export function timeline(run, picked, pick) {
  const rows = placed(run);
  if (!rows.length) return null;
  const timed = rows.filter(row => !row.reused);
  const scale = scaleOf(timed.flatMap(row => row.calls));
  const share = seconds => `${Math.min(100, 100 * seconds / Math.max(0.001, scale.seconds))}%`;
  const drawn = {at: time => share(scale.at(time)), wide: (from, to) => share(scale.at(to) - scale.at(from)), pauses: scale.pauses.map(pause => share(pause.at))};
  return section("when", "Timeline",
    el("div.timeline", timed.length ? axis(scale, share) : null, rows.map(row => layer(row, drawn, picked, pick))),
    legend(timed, scale.pauses));
}

function axis({seconds, pauses}, share) {
  const marks = [0, 0.25, 0.5, 0.75].map(part => el("i", {place: {left: share(part * seconds)}}, duration(part * seconds)));
  return el("div.axis", {"aria-hidden": "true"}, el("span"), el("div", marks, pauses.map(pause => el("u", {place: {left: share(pause.at)}}))), el("span", duration(seconds)));
}

function legend(rows, pauses) {
  const attempts = rows.flatMap(row => row.calls).flatMap(each => each.attempts);
  const part = (kind, text) => el("span", el("i", {class: kind}), text);
  return el("p.key", attempts.some(each => each.attempt.first_text_s) && part("bar first", "to the first text"), part("bar", "answer"),
    attempts.some(each => each.attempt.failure) && part("bar bad", "failed attempt"), part("rest", "waits for the slowest call"),
    pauses.map(pause => part("pause", `pause of ${duration(pause.seconds)} without any call, not to scale`)));
}

function layer({step, reused, calls, end}, drawn, picked, pick) {
  const facts = [`${step.calls.filter(answered).length}/${step.calls.length} answered`, reused ? "reused, paid before" : duration(step.seconds), priced(total(step.calls.map(call => call.cost_usd)))];
  const names = named(step), at = step.calls.findIndex(call => keyOf(call) === picked);
  return el("div.layer", el("h3", `${step.step} ${step.kind}`, quiet(facts.join(" · "))),
    more(`rows${step.step}`, calls, ROWS, each => row(each, names.get(each.call), step, reused ? null : end, drawn, picked, pick), at));
}

function row({call, to, attempts}, agent, step, end, drawn, picked, pick) {
  const name = `Step ${step.step} ${step.kind}, ${agent}, ${outcome(call)}, ${duration(call.seconds)}, ${priced(call.cost_usd)}`;
  const track = end == null ? [] : [
    call.seconds != null && end > to && el("span.rest", {place: {left: drawn.at(to), width: drawn.wide(to, end)}}),
    attempts.flatMap(each => bars(each, drawn)), drawn.pauses.map(left => el("span.pause", {place: {left}}))];
  return el("button", {class: `call${call.failure ? " failed" : ""}`, "data-call": keyOf(call), "aria-pressed": String(picked === keyOf(call)), "aria-label": name, title: name, onclick: () => pick(call)},
    el("span.agent", call.failure && "✕ ", agent), el("span.track", track), el("span.took.quiet", duration(call.seconds)));
}

function bars({attempt, from, to}, drawn) {
  const kind = attempt.failure ? "bad" : attempt.seconds == null ? "live" : "";
  const split = attempt.failure ? 0 : Math.min(attempt.first_text_s ?? 0, to - from);
  const bar = (name, begin, end) => el("span", {class: `bar ${name}`, place: {left: drawn.at(begin), width: drawn.wide(begin, end)}});
  return split > 0 ? [bar("first", from, from + split), bar(kind, from + split, to)] : [bar(kind, from, to)];
}
