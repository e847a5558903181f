// A question of an evaluation with the answers of all contestants, and what a list of questions needs to know of it.
import {el, quiet, region, written} from "./elements.js";
import {count, counted, dollars, duration} from "./figures.js";
const SAFE_RUN = /^[\w.-]+$/, ASKED = ["not_started", "queued", "running"];

export const scored = (question, name) => question.outcomes[name]?.score;
export const isFailed = outcome => outcome && outcome.answer == null && !ASKED.includes(outcome.status);

export function leads(question, [one, other]) {  // who is ahead, of a contestant and a baseline: 1, -1, 0 for a tie, null if it is not known
  const first = scored(question, one), second = scored(question, other);
  if (first != null && second != null) return Math.sign(first - second);
  const verdicts = (question.verdicts ?? []).filter(each => each.contestant === one && each.against === other && each.preferred != null);
  return verdicts.length > 1 ? Math.sign(verdicts.reduce((sum, each) => sum + each.preferred, 0) - verdicts.length / 2) : null;
}

export function marks(question, {contestants, pairs}) {  // a word for each contestant, or for each pair that a judge compared
  const judged = pairs.filter(([one, other]) => (question.verdicts ?? []).some(each => each.contestant === one && each.against === other));
  const words = contestants.filter(name => question.outcomes[name] && !(judged.length && question.outcomes[name].score == null && question.outcomes[name].answer != null)).map(name => [name, ...mark(question.outcomes[name])]);
  return [...words, ...judged.map(pair => [`${pair[0]} against ${pair[1]}`, ...{1: ["won", "complete"], "-1": ["lost", "failed"], 0: ["tied", "quiet"]}[leads(question, pair)] ?? ["unreadable", "degraded"]])];
}

export function mark(outcome) {  // the score of an outcome in a word
  if (!outcome || ASKED.includes(outcome.status)) return ["not asked", "quiet"];
  if (isFailed(outcome)) return ["failed", "failed"];
  if (outcome.score == null) return ["no score", "quiet"];
  return outcome.score === 1 ? ["right", "complete"] : outcome.score === 0 ? ["wrong", "failed"] : [String(Number(outcome.score.toFixed(2))), "degraded"];
}

export function drawQuestion(question, data) {
  return [el("div.asked", el("h3", "Question"), el("p.raw", question.text)),
    question.choices && el("ol.lettered", question.choices.map(each => el("li", each))),
    question.answer != null && el("p.expected", el("b", "Expected: "), el("span.raw", question.answer)),
    question.cluster != null && el("p.quiet", `Cluster: ${question.cluster}`),
    el("div.cards", data.contestants.filter(name => question.outcomes[name]).map(name => card(question, name, data))),
    question.verdicts && verdicts(question, data)].filter(Boolean);
}

function card(question, name, data) {
  const outcome = question.outcomes[name], [word, look] = mark(outcome);
  const judged = question.verdicts && outcome.answer != null && outcome.score == null;
  return el("article.card", el("header", el("h3", `${name} `, judged ? null : el("span", {class: `chip ${look}`}, word)), quiet(facts(outcome))),
    outcome.extracted != null && el("p", quiet("Value: "), el("code", outcome.extracted)),
    outcome.why && el("p", quiet("Why: "), el("span.raw", outcome.why)),
    outcome.problem && el("p.error", outcome.problem),
    outcome.answer == null ? el("p.quiet", "No answer") : written(outcome.answer, data.trees, `answer of ${name} to question ${question.id}`),
    outcome.samples && samples(outcome),
    run("Run", outcome.run, data), (outcome.judges ?? []).map(each => run("Judge", each, data)));
}

function facts(outcome) {
  const cost = outcome.unknown ? `${outcome.cost == null ? "" : `at least ${dollars(outcome.cost)}, `}${counted(outcome.unknown, "call")} of unknown cost` : outcome.cost == null ? null : dollars(outcome.cost);
  const agree = outcome.agreement == null ? null : `${count(100 * outcome.agreement)} % of the samples agree`;
  return [outcome.status === "complete" ? null : outcome.status.replace("_", " "), outcome.calls ? counted(outcome.calls, "call") : null, cost, outcome.seconds == null ? null : duration(outcome.seconds), agree].filter(Boolean).join(" · ");
}

function samples(outcome) {
  return el("details", el("summary", counted(outcome.samples.length, "sample")), el("ul.said", outcome.samples.map(({model, extracted, score}) =>
    el("li", `${model}: `, extracted == null ? quiet("no value") : el("code", extracted), score == null ? null : quiet(` ${score === 1 ? "right" : score === 0 ? "wrong" : score}`)))));
}

function run(title, id, {links}) {
  if (!id) return null;
  if (!SAFE_RUN.test(id)) return el("p.quiet.about", `${title}: ${id}`);
  return el("p.quiet.about", `${title}: `, links ? el("a", {href: `/runs/${encodeURIComponent(id)}`}, id) : el("code", `moa-mcp view ${id}`));
}

function verdicts(question, data) {
  const said = each => each.problem ? "no reply" : each.preferred == null ? "unreadable" : each.preferred === 0.5 ? "a tie" : `prefers ${each.preferred > 0.5 ? each.contestant : each.against}`;
  return el("div.asked", el("h3", "The judge"), el("ul.said", question.verdicts.map(each => el("li", el("b", said(each)), `: ${each.contestant} against ${each.against}, ${each.first} first. `,
    el("span.raw", each.why ?? each.problem ?? ""), run("Run", each.run, data)))));
}
