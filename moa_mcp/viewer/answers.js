// The answers of one layer side by side: what most of them say, and what only one says.
import {el, markdown, more} from "./elements.js";
import {count, dollars, duration, keyOf, layers} from "./figures.js";
import {LONGEST_COMPARED, said, sentences, sharing} from "./sentences.js";
const CARDS = 12;
const COMPARED = 24;

export function answers(run, trees, chosen, picked, choose, pick) {
  const steps = layers(run);
  const step = steps.find(each => each.step === chosen) ?? steps.findLast(each => each.calls.length > 1) ?? steps.at(-1);
  if (!step) return null;
  const first = step.calls.slice(0, COMPARED);
  const sets = new Map(first.map(call => [call, said(call.text)]));
  const compared = first.filter(call => sets.get(call).length).length;
  return el("section", {"aria-labelledby": "answers"}, el("h2", {id: "answers"}, "Answers side by side"), tabs(steps, step, choose),
    el("div", {id: "layer", role: "tabpanel", "aria-labelledby": `tab${step.step}`},
      compared > 1 ? el("p", {class: "key"}, el("mark", {class: "most"}, "in most answers"), el("mark", {class: "lone"}, "only here"), "compared by the words of each sentence, not by meaning") : null,
      el("div", {class: "cards"}, more(`answers ${step.step}`, step.calls, CARDS, call => card(call, trees, sets, picked, pick)))));
}

function tabs(steps, current, choose) {
  const move = event => {
    const by = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!by) return;
    event.preventDefault();
    choose(steps[(steps.indexOf(current) + by + steps.length) % steps.length].step);
  };
  return el("div", {class: "tabs", role: "tablist", "aria-label": "Layers", onkeydown: move}, steps.map(step => el("button", {
    type: "button", role: "tab", id: `tab${step.step}`, "aria-controls": "layer", "aria-selected": String(step === current),
    tabindex: step === current ? 0 : -1, onclick: () => choose(step.step)}, `${step.step} ${step.kind}`)));
}

function card(call, trees, sets, picked, pick) {
  const others = [...sets].filter(([other, set]) => other !== call && set.length).map(([, set]) => set);
  const facts = [`${count(call.usage.completion_tokens)} tokens`, duration(call.seconds), dollars(call.cost_usd)].join(" · ");
  return el("article", {class: `card${call.failure ? " failed" : ""}${picked === keyOf(call) ? " picked" : ""}`, "data-card": keyOf(call)},
    el("header", {}, el("h3", {}, el("button", {type: "button", class: "plain", title: "Show its prompt", onclick: () => pick(call)}, call.agent)), el("span", {class: "quiet"}, facts)),
    body(call, trees, text => marked(text, sets.has(call) ? others : [])),
    thoughts(call));
}

function body(call, trees, write) {
  if (call.failure) return el("p", {class: "error"}, `${call.failure.kind}: ${call.failure.message}`);
  if (call.text == null) return el("p", {class: "quiet"}, "No answer yet");
  const tree = trees.get(call.text);
  return el("div", {class: tree ? "text prose" : "text raw", tabindex: 0, role: "region", "aria-label": `answer of ${call.agent}`}, tree ? markdown(tree, write) : write(call.text));
}

function marked(text, others) {
  if (!others.length || text.length > LONGEST_COMPARED) return text;
  return sentences(text).map(each => {
    const shared = sharing(each, others);
    const kind = shared == null ? "" : shared === 0 ? "lone" : shared >= others.length / 2 ? "most" : "";
    return kind ? el("mark", {class: kind, title: `${shared} of ${others.length} other answers say nearly this`}, each) : each;
  });
}

const thoughts = call => call.reasoning ? el("details", {}, el("summary", {}, "Reasoning"), el("div", {class: "text raw", tabindex: 0}, call.reasoning)) : null;
