// The questions of an evaluation: filters, and a line for each question, which unfolds to the answers.
import {clean, el, more, quiet} from "./elements.js";
import {count, counted} from "./figures.js";
import {drawQuestion, isFailed, leads, marks} from "./outcomes.js";
import {restored} from "./whole.js";
const ROWS = 50, SHOWN = 160, TYPING_MS = 150;

const list = document.getElementById("list");
const FILTERS = {
  all: ["All questions", () => true],
  differ: ["Where both differ", (question, pair) => Boolean(leads(question, pair))],
  won: ["Won", (question, pair) => leads(question, pair) === 1],
  lost: ["Lost", (question, pair) => leads(question, pair) === -1],
  failed: ["Without an answer", question => Object.values(question.outcomes).some(isFailed)],
  unscored: ["Without a score", question => Object.values(question.outcomes).some(each => each.answer != null && each.score == null)],
};
let chosen = {shown: "all", pair: 0, text: ""}, draws = 0;

function matching({questions, pairs}) {
  const [, fits] = FILTERS[chosen.shown], words = chosen.text.toLowerCase().split(/\s+/).filter(Boolean), pair = pairs[chosen.pair] ?? ["", ""];
  return questions.filter(question => fits(question, pair) && words.every(word => searched(question).includes(word)));
}

const texts = new Map();
function searched(question) {  // what a search looks in: the question, its ID and expected answer, and the answers
  if (!texts.has(question)) texts.set(question, [question.id, question.text, question.answer ?? "", ...Object.values(question.outcomes).map(each => each.answer ?? "")].join("\n").toLowerCase());
  return texts.get(question);
}

function entry(question, data) {
  const line = question.text.replace(/\s+/g, " "), body = el("div.opened");
  const fill = () => body.childElementCount || body.append(...drawQuestion(question, data));
  const words = marks(question, data).map(([name, word, look]) => el("span", quiet(`${name} `), el("b", {class: look}, word)));
  const details = el("details.question", {ontoggle: () => details.open && fill()}, el("summary", el("span.what", quiet(`${question.id} `), line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line), el("span.marks", words)), body);
  details.fill = fill;
  return details;
}

function draw(data) {
  const found = matching(data), status = document.getElementById("found");
  status.textContent = found.length === data.questions.length ? counted(found.length, "question") : `${count(found.length)} of ${counted(data.questions.length, "question")}`;
  document.getElementById("entries").replaceChildren(...(found.length ? more(`questions${draws++}`, found, ROWS, question => entry(question, data)) : [el("p.empty", "No question matches.")]));
}

function filters(data) {
  const change = (next, wait = 0) => { chosen = {...chosen, ...next}; clearTimeout(change.timer); change.timer = setTimeout(() => draw(data), wait); };
  const select = (id, label, options, pick) => el("label", el("span", label), el("select", {id, onchange: event => pick(event.target.value)}, options.map(([value, text]) => el("option", {value}, text))));
  const possible = Object.entries(FILTERS).filter(([name]) => data.pairs.length || !["differ", "won", "lost"].includes(name));
  return el("search.filters",
    el("label.wide", el("span", "Search"), el("input", {id: "text", type: "search", placeholder: "Words of a question or an answer", autocomplete: "off", spellcheck: "false", oninput: event => change({text: event.target.value}, TYPING_MS)})),
    select("shown", "Show", possible.map(([name, [title]]) => [name, title]), shown => change({shown})),
    data.pairs.length > 1 ? select("pair", "Won and lost by", data.pairs.map(([one, other], at) => [at, `${one} against ${other}`]), pair => change({pair: Number(pair)})) : null);
}

try {
  const data = restored(JSON.parse(document.getElementById("run").textContent));
  list.replaceChildren(filters(data), el("p.quiet", {id: "found", role: "status"}), el("div", {id: "entries"}));
  draw(data);
  addEventListener("beforeprint", () => document.querySelectorAll("details.question").forEach(each => each.fill()));
} catch (error) {
  list.replaceChildren(el("p.error", {role: "alert"}, clean(`This page can't show the questions: ${error.message}`)));
}
