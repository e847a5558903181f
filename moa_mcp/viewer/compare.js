// Two runs beside each other: facts, settings that differ, answers, and which steps were asked again.
import {el, folded, quiet, region, section, written} from "./elements.js";
import {answered, count, dollars, duration, ownCalls, priced, statusOf, tokens, total} from "./figures.js";
import {drawings, drawRun, question} from "./run.js";
import {LONGEST_COMPARED, sentences, words} from "./sentences.js";
const MOST_MATCHED = 400;
const LONG_SETTING = 120;
const ALIKE = 0.6;
const PART = 0.4;  // of a sentence that the other answer has as one of its own
const PART_ALIKE = 0.8;

drawings.compared = function ({run, other, settings, trees}, view, source, change) {
  const names = titles(run, other), shown = {run, other}[view.side];
  return [views(names, view, change), ...(shown ? drawRun(shown, trees, view, source, change) : [headOfBoth(run, other, names), bothAnswers(run, other, names, trees),
    factsOfBoth(run, other, names), settingsOfBoth(settings, names), stepsOfBoth(run, other, names)])].filter(Boolean);
};

function titles(run, other) {
  if (other.forked_from === run.run_id) return ["Parent", "Fork"];
  return run.forked_from === other.run_id ? ["Fork", "Parent"] : ["First run", "Second run"];
}

function views(names, view, change) {
  const tab = (name, side) => el("button", {"aria-pressed": String((view.side ?? null) === side), onclick: () => change({side, picked: null, layer: null})}, name);
  return el("div.tabs", {role: "group", "aria-label": "What to show"}, tab("Comparison", null), tab(names[0], "run"), tab(names[1], "other"));
}

function headOfBoth(run, other, names) {
  const same = run.question.text === other.question.text;
  const line = (each, name) => el("p.row", el("b", name), el("span", {class: `chip ${statusOf(each)}`}, statusOf(each)), quiet(each.pipeline), el("code.quiet", each.run_id));
  return el("header.head", same ? question(run.question) : [el("h1", "Two runs with different questions"), [run, other].map((each, at) => folded(`Question of the ${names[at].toLowerCase()}`, el("p.raw", each.question.text), true))],
    line(run, names[0]), line(other, names[1]));
}

function bothAnswers(run, other, names, trees) {
  const pair = [run, other], same = run.answer != null && run.answer === other.answer;
  const sets = pair.map(each => matchable(each.answer));
  const parts = pair.map((each, at) => compared(each.answer, sets[1 - at]));
  const key = same ? el("p", "Both answers are the same.") : parts[0].all && parts[1].all ? el("p.key", el("mark.lone", "only in this answer"), el("span", `${parts[0].lone} of ${parts[0].all} sentences of the ${names[0].toLowerCase()}, ${parts[1].lone} of ${parts[1].all} of the ${names[1].toLowerCase()}; compared by words, not by meaning`)) : null;
  return section("both", "Answers", key,
    el("div.pair", pair.map((each, at) => el("article.card", el("h3", names[at]), answerOf(each, names[at], trees, same ? undefined : parts[at].write)))));
}

function answerOf(run, name, trees, write) {
  if (run.answer == null) return el("p", {class: run.error ? "error" : "quiet"}, run.error ?? "No answer yet");
  return written(run.answer, trees, `answer of the ${name.toLowerCase()}`, "text tall", write);
}

const matchable = answer => answer && answer.length <= LONGEST_COMPARED ? sentences(answer).slice(0, MOST_MATCHED).map(words).filter(set => set.size) : [];

function compared(answer, others) {  // {all, lone: numbers of sentences, write: marks what the other answer does not have}
  const matches = sentence => {  // the most similar sentence of the other answer
    const set = words(sentence);
    let best = null, most = 0;
    for (const each of set.size ? others : []) {
      const shared = shares(set, each), within = shared >= PART_ALIKE * each.size && each.size >= PART * set.size;
      if (shared > most && (shared >= ALIKE * set.size || within)) [best, most] = [each, shared];
    }
    return set.size ? best : set;
  };
  const own = others.length && answer && answer.length <= LONGEST_COMPARED ? sentences(answer).slice(0, MOST_MATCHED).filter(each => words(each).size) : [];
  const write = content => !own.length || content.length > LONGEST_COMPARED ? content : sentences(content).slice(0, MOST_MATCHED).map(each => wordsMarked(each, matches(each)));
  return {all: own.length, lone: own.filter(each => !matches(each)).length, write};
}

const shares = (set, other) => { let shared = 0; for (const word of set) if (other.has(word)) shared++; return shared; };

function wordsMarked(sentence, match) {  // a sentence without its like is marked, else only its words that the other lacks
  if (!match) return el("mark.lone", sentence);
  return sentence.split(/([\p{L}\p{N}]+)/u).map((part, at) => at % 2 && match.size && !match.has(part.toLowerCase()) ? el("mark.lone", part) : part);
}

function tabled(name, heads, rows) {
  return el("div.tabled", {...region(name)}, el("table.rows", el("thead", el("tr", heads.map(each => el("th", {scope: "col"}, each)))),
    el("tbody", rows.map(([first, ...cells]) => el("tr", el("th", {scope: "row"}, first), cells.map(cell => el("td", cell)))))));
}

function changed(from, to, write) {  // "+3 (+20 %)"
  if (from == null || to == null) return "unknown";
  const by = to - from, sign = by > 0 ? "+" : "−";
  if (Math.abs(by) < 1e-9) return "the same";
  return `${sign}${write(Math.abs(by))}${from > 0 ? ` (${sign}${count(100 * Math.abs(by) / from)} %)` : ""}`;
}

function factsOfBoth(run, other, names) {
  const row = (name, value, write) => [name, write(value(run)), write(value(other)), changed(value(run), value(other), write)];
  const plainly = value => [run, other].map(value);
  const rows = [["Status", ...plainly(statusOf), statusOf(run) === statusOf(other) ? "the same" : "different"], row("Time", each => each.seconds, duration), row("Answered", each => ownCalls(each).filter(answered).length, count),
    row("Failed", each => ownCalls(each).filter(call => call.failure).length, count), row("Tokens", each => tokens(each.usage), count), row("Cost", each => each.cost_usd, dollars), row("Expected", each => each.estimate?.cost_usd?.expected, dollars)];
  const inherits = run.inherited_steps || other.inherited_steps;
  return section("facts", "Facts", tabled("table of facts", ["fact", ...names, "difference"], rows), inherits ? el("p.key", "Calls, tokens and cost of a fork are those of the steps that it ran itself.") : null);
}

function settingsOfBoth(settings, names) {
  const value = each => each == null ? quiet("not set") : each.length > LONG_SETTING ? folded(`${each.slice(0, LONG_SETTING)}…`, el("p.raw", each)) : el("code", each);
  const rows = settings?.map(({step, setting, one, other}) => [el("span", step == null ? "run" : `step ${step}`, " ", el("code", setting)), value(one), value(other)]);
  return section("settings", "Settings that differ", !settings ? el("p.quiet", "The settings are not known.") : rows.length ? tabled("table of settings", ["setting", ...names], rows) : el("p", "None: both runs have the same settings."));
}

function stepsOfBoth(run, other, names) {
  const numbers = [...new Set([...run.steps, ...other.steps].map(step => step.step))].sort((a, b) => a - b);
  const find = (each, number) => each.steps.find(step => step.step === number);
  const rows = numbers.map(number => {
    const pair = [find(run, number), find(other, number)], kinds = [...new Set(pair.filter(Boolean).map(step => step.kind))];
    return [`${number} ${kinds.join(" / ")}`, state(run, other, pair[0]), state(other, run, pair[1]), alikeIn(...pair)];
  });
  return section("steps", "Steps", tabled("table of steps", ["step", ...names, "answers"], rows));
}

function state(run, other, step) {
  if (!step) return quiet("not reached");
  if (step.step <= run.inherited_steps) return [el("b", "inherited"), quiet(run.forked_from === other.run_id ? "not asked again" : `from ${run.forked_from}`)];
  if (!step.calls.length) return [el("b", "no calls"), quiet(duration(step.seconds))];
  const again = run.forked_from === other.run_id ? "asked again" : "asked", failed = step.calls.filter(call => call.failure).length;
  return [el("b", again), quiet([`${step.calls.filter(answered).length}/${step.calls.length} answered${failed ? `, ${failed} failed` : ""}`, duration(step.seconds), priced(total(step.calls.map(call => call.cost_usd)))].join(" · ")),
    quiet(models(step))];
}

function models(step) {
  const times = new Map();
  for (const {agent} of step.calls) times.set(agent, (times.get(agent) ?? 0) + 1);
  const all = [...times].map(([agent, number]) => number > 1 ? `${number}× ${agent}` : agent);
  return all.length > 8 ? `${all.slice(0, 8).join(", ")} and ${all.length - 8} more` : all.join(", ");
}

function alikeIn(one, other) {
  if (!one?.answers.length || !other?.answers.length) return "";
  const left = other.answers.map(answer => answer.text);
  const same = one.answers.filter(({text}) => { const at = left.indexOf(text); if (at >= 0) left.splice(at, 1); return at >= 0; }).length;
  return same === one.answers.length && !left.length ? "the same" : same ? `${same} of ${Math.max(one.answers.length, other.answers.length)} the same` : "different";
}
