// When each call ran, to scale. Old runs have no start times: their calls begin with their step.
import {el, more} from "./elements.js";
import {answered, dollars, duration, keyOf, layers, outcome, total} from "./figures.js";
const ROWS = 100;

function placed(run) {  // [{step, reused, calls: [{call, from, to, attempts}]}], in seconds since the start
  let at = 0;
  return layers(run).map(step => {
    const reused = step.step <= run.inherited_steps;
    const calls = step.calls.map(call => spans(call, run.started_at, at));
    const end = Math.max(...calls.map(each => each.to));
    if (!reused) at = end;
    return {step, reused, calls, end};
  });
}

function spans(call, zero, fallback) {
  const since = time => !time || !zero ? null : Math.max(0, time - zero);
  const from = since(call.started_at) ?? fallback;
  const to = call.seconds == null ? Math.max(from, since(Date.now() / 1000) ?? from) : from + call.seconds;
  let at = from;
  const attempts = call.attempts.map(attempt => {
    const begin = since(attempt.started_at) ?? at;
    at = attempt.seconds == null ? Math.max(begin, to) : begin + attempt.seconds;
    return {attempt, from: begin, to: at};
  });
  return {call, from, to, attempts};
}

export function timeline(run, picked, pick) {
  const rows = placed(run);
  if (!rows.length) return null;
  const timed = rows.filter(row => !row.reused);
  const all = Math.max(0.001, ...timed.map(row => row.end));
  const share = seconds => `${Math.min(100, 100 * seconds / all)}%`;
  const marks = [0, 0.25, 0.5, 0.75].map(part => el("i", {place: {left: share(part * all)}}, duration(part * all)));
  const axis = el("div", {class: "axis", "aria-hidden": "true"}, el("span"), el("div", {}, marks), el("span", {}, duration(all)));
  return el("section", {"aria-labelledby": "when"}, el("h2", {id: "when"}, "Timeline"),
    el("div", {class: "timeline"}, timed.length ? axis : null, rows.map(row => layer(row, share, picked, pick))),
    el("p", {class: "key"}, el("span", {}, el("i", {class: "bar first"}), "to the first text"), el("span", {}, el("i", {class: "bar"}), "answer"),
      el("span", {}, el("i", {class: "bar bad"}), "failed attempt"), el("span", {}, el("i", {class: "rest"}), "waits for the slowest call")));
}

function layer({step, reused, calls, end}, share, picked, pick) {
  const facts = [`${step.calls.filter(answered).length}/${step.calls.length} answered`, reused ? "reused, paid before" : duration(step.seconds), dollars(total(step.calls.map(call => call.cost_usd)))];
  return el("div", {class: "layer"}, el("h3", {}, `${step.step} ${step.kind}`, el("span", {class: "quiet"}, facts.join(" · "))),
    more(`timeline ${step.step}`, calls, ROWS, each => row(each, step, reused ? null : end, share, picked, pick)));
}

function row({call, from, to, attempts}, step, end, share, picked, pick) {
  const name = `Step ${step.step} ${step.kind}, ${call.agent}, ${outcome(call)}, ${duration(call.seconds)}, ${dollars(call.cost_usd)}`;
  const track = end == null ? [] : [
    call.seconds != null && end > to && el("span", {class: "rest", place: {left: share(to), width: share(end - to)}}),
    attempts.flatMap(each => bars(each, share))];
  return el("button", {type: "button", class: `call${call.failure ? " failed" : ""}`, "data-call": keyOf(call), "aria-pressed": String(picked === keyOf(call)), "aria-label": name, title: name, onclick: () => pick(call)},
    el("span", {class: "agent"}, call.failure && "✕ ", call.agent), el("span", {class: "track"}, track), el("span", {class: "took quiet"}, duration(call.seconds)));
}

function bars({attempt, from, to}, share) {
  const kind = attempt.failure ? "bad" : attempt.seconds == null ? "live" : "";
  const split = attempt.failure ? 0 : Math.min(attempt.first_text_s ?? 0, to - from);
  const bar = (name, begin, end) => el("span", {class: `bar ${name}`, place: {left: share(begin), width: share(end - begin)}});
  return split > 0 ? [bar("first", from, from + split), bar(kind, from + split, to)] : [bar(kind, from, to)];
}
