// The answers of one layer side by side: what most of them say, and what only one says.
import {el, folded, more, quiet, region, section, written} from "./elements.js";
import {count, counted, duration, keyOf, layers, named, priced} from "./figures.js";
import {comparison, sentences} from "./sentences.js";
const CARDS = 12;
const COMPARED = 24;

export function answers(run, trees, chosen, picked, choose, pick) {
  const steps = layers(run);
  const step = steps.find(each => each.step === chosen) ?? steps.findLast(each => each.calls.length > 1 && !each.calls.some(call => call.verdict)) ?? steps.at(-1);
  if (!step) return null;
  const names = named(step), subjects = subjectsOf(run, step), shared = sharedOf(step);
  const at = step.calls.findIndex(call => keyOf(call) === picked);
  return section("answers", "Answers side by side", tabs(steps, step, choose),
    el("div", {id: "layer", role: "tabpanel", "aria-labelledby": `tab${step.step}`}, shared.compared > 1 ? agreement(step, shared) : null,
      el("div.cards", more(`cards${step.step}`, step.calls, CARDS, (call, number) => card(call, names.get(call), subjects.get(keyOf(call)), trees, shared.marker(number), picked, pick), at))));
}

function tabs(steps, current, choose) {
  const move = event => {
    const at = {ArrowRight: steps.indexOf(current) + 1, ArrowLeft: steps.indexOf(current) - 1, Home: 0, End: steps.length - 1}[event.key];
    if (at == null) return;
    event.preventDefault();
    choose(steps[(at + steps.length) % steps.length].step);
  };
  return el("div.tabs", {role: "tablist", "aria-label": "Layers", onkeydown: move}, steps.map(step => el("button", {role: "tab", id: `tab${step.step}`, "aria-controls": "layer", "aria-selected": String(step === current),
    tabindex: step === current ? 0 : -1, onclick: () => choose(step.step)}, `${step.step} ${step.kind}`)));
}

const known = new WeakMap();
function sharedOf(step) {
  const texts = step.calls.slice(0, COMPARED).map(call => call.failure || call.verdict ? null : call.text);
  const before = known.get(step.calls);
  if (before && before.texts.length === texts.length && before.texts.every((text, at) => text === texts[at])) return before;
  const found = comparison(texts), others = found.compared - 1;
  const kindOf = (at, sentence) => { const shared = found.of(at, sentence); return shared == null || others < 1 ? "" : shared === 0 ? "lone" : shared >= others / 2 ? "most" : ""; };
  const marker = at => text => at >= texts.length || !texts[at] || others < 1 ? text : sentences(text).map(each => {
    const kind = kindOf(at, each);
    return kind ? el("mark", {class: kind, title: `${found.of(at, each)} of ${others} other answers say nearly this`}, each) : each;
  });
  const kinds = texts.flatMap((text, at) => text ? found.sentences(at).map(each => kindOf(at, each)) : []);
  const result = {texts, marker, compared: found.compared, most: kinds.filter(kind => kind === "most").length, lone: kinds.filter(kind => kind === "lone").length, all: kinds.length};
  known.set(step.calls, result);
  return result;
}

function agreement(step, {most, lone, all, compared}) {
  const part = (kind, name, number) => el("span", el("mark", {class: kind}, name), number);
  const which = step.calls.length > compared ? `, in ${compared} of ${counted(step.calls.length, "answer")}` : "";
  return el("p.key", part("most", "in most answers", `${most} of ${counted(all, "sentence")}`), part("lone", "only here", count(lone)),
    el("span", `compared by the words of each sentence, not by meaning${which}`));
}

function subjectsOf(run, step) {  // the answers that the calls of a step comment on, by call
  const found = new Map();
  step.answers.forEach((answer, at) => answer.comments.forEach(comment => { if (comment.place.step === step.step) found.set(keyOf(comment), {answer, number: at + 1}); }));
  return found;
}

function card(call, name, subject, trees, write, picked, pick) {
  const facts = [call.failure ? null : counted(call.usage.completion_tokens, "token"), duration(call.seconds), priced(call.cost_usd)].filter(Boolean).join(" · ");
  return el("article", {class: `card${call.failure ? " failed" : ""}${picked === keyOf(call) ? " picked" : ""}`, "data-card": keyOf(call)},
    el("header", el("h3", el("button.plain", {title: "Show its prompt", onclick: () => pick(call)}, name)), quiet(facts),
      remarks(call).map(each => quiet(each)), subject && el("span.about", `about answer ${subject.number}, by ${subject.answer.agent}`)),
    subject && folded(`Answer ${subject.number}`, el("div.text.raw", {...region(`answer ${subject.number}`)}, subject.answer.text)),
    body(call, name, trees, write), failures(call), thoughts(call));
}

function remarks(call) {
  const last = call.attempts.at(-1), joined = last?.joined;
  return [last?.completion?.finish_reason === "length" && "cut off at its token limit", joined && `answered by the request of call ${joined.step}.${joined.number}`, ...(call.notes ?? [])].filter(Boolean);
}

function body(call, name, trees, write) {
  if (call.failure) return el("p.error", `${call.failure.kind}: ${call.failure.message}`);
  if (call.text == null) return el("p.quiet", "No answer yet");
  return written(call.text, trees, `answer of ${name}`, "text", write);
}

function failures(call) {
  const failed = call.attempts.filter(each => each.failure);
  return failed.length > (call.failure ? 1 : 0) ? folded(counted(failed.length, "failed attempt"), el("ol", failed.map(each => el("li", `${each.model}, ${duration(each.seconds)}: ${each.failure.kind}: ${each.failure.message}`)))) : null;
}

function thoughts(call) {
  const texts = call.reasoning ? [call.reasoning] : call.attempts.map(each => each.failure?.reasoning).filter(Boolean);
  return texts.map(text => folded(`Reasoning (${counted(text.length, "character")})`, el("div.text.raw", {...region("reasoning")}, text)));
}
