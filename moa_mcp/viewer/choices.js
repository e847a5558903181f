// How the steps chose among answers: counted votes, what judges said, and which answers remained.
import {el, quiet, section} from "./elements.js";
import {counted, keyOf} from "./figures.js";
import {blocks} from "./prompt.js";
const MOST_BARS = 12;
const MOST_SAYINGS = 20;
const MOST_CHIPS = 40;
const MOST_ALIKE = 5;
const SHORT_VALUE = 300;

export function choices(run, pick) {
  const parts = run.steps.map((step, at) => choice(step, run.steps[at - 1]?.answers ?? [], pick)).filter(Boolean);
  return parts.length ? section("choices", "Votes and choices", el("div.choices", parts)) : null;
}

function choice(step, before, pick) {
  const kept = keptOf(step, before), sayings = sayingsOf(step, before);
  if (!step.tally && !kept && !sayings.length) return null;
  return el("article.choice", el("h3", `${step.step} ${step.kind}`, quiet(summary(step, before, kept))),
    tallied(step, before, kept), kept?.length > 1 && remaining(before, kept), sayings.length ? sayingList(step, sayings, pick) : null);
}

function keptOf(step, before) {  // positions of the answers that remained, if all are answers of before; else null
  if (!step.answers.length || before.length < 2) return null;
  const left = before.map(answer => keyOf(answer));
  const kept = step.answers.map(answer => { const at = left.indexOf(keyOf(answer)); if (at >= 0) left[at] = ""; return at; });
  const same = kept.length === before.length && kept.every((at, place) => at === place);
  return kept.includes(-1) || same ? null : kept;
}

function sayingsOf(step, before) {  // [{call, names: those of the answers before that the judge named, best first}]
  const judged = step.calls.filter(call => call.verdict);
  return judged.map(call => {
    const shown = call.messages.flatMap(({role, content}) => role === "system" ? blocks(content).filter(({name}) => name.startsWith("answer")).map(({from, to}) => content.slice(from, to)) : []);
    const inOrder = judged.length === 1 && shown.length === before.length;
    return {call, names: call.verdict.map(number => inOrder ? String(number) : numbersOf(shown[number - 1] ?? "", before))};
  });
}

function numbersOf(text, before) {  // several if answers have the same text, since the order of a prompt is known by its texts alone
  const same = before.flatMap((answer, at) => answer.text === text ? [at + 1] : []);
  const found = same.length || !text ? same : before.flatMap((answer, at) => answer.text.startsWith(text.trimEnd()) ? [at + 1] : []);
  return found.length > MOST_ALIKE ? `${found.slice(0, MOST_ALIKE).join("/")}/…` : found.join("/") || "?";
}

function summary(step, before, kept) {
  if (kept?.length === 1 && before.length > 1) return `answer ${kept[0] + 1} of ${before.length} chosen, by ${before[kept[0]].agent}`;
  if (kept?.length === before.length) return "new order";
  if (kept) return `${kept.length} of ${before.length} answers kept`;
  return step.seconds == null ? "in progress" : "";
}

function tallied({tally, calls}, before, kept) {
  if (!tally) return null;
  const top = tally.values[0]?.votes ?? 0, tied = tally.values.filter(each => each.votes === top).length > 1;
  const byNumber = calls.length > 0 && kept?.length === 1 && tally.values[0]?.value === String(kept[0] + 1);
  const values = tally.values.map(({value, votes}, at) => ({votes, name: byNumber ? `answer ${value}${before[value - 1] ? `, ${before[value - 1].agent}` : ""}` : value, note: at === 0 ? tied ? "chosen, given first in a tie" : "chosen" : tied && votes === top ? "tied" : ""}));
  const rows = values.slice(0, MOST_BARS), rest = values.slice(MOST_BARS);
  if (rest.length) rows.push({name: counted(rest.length, "other value"), votes: rest.reduce((sum, each) => sum + each.votes, 0), note: "", quiet: true});
  if (tally.abstained) rows.push({name: byNumber ? "no valid verdict" : "no value that can be counted", votes: tally.abstained, note: "", quiet: true});
  return el("table.votes", el("thead", el("tr", ["value", "votes", "result"].map(name => el("th", {scope: "col"}, name)))),
    el("tbody", rows.map(each => vote(each, tally.of))));
}

function vote({name, votes, note, quiet}, of) {
  const kind = note.startsWith("chosen") ? "" : quiet ? "none" : "first";
  return el("tr", el("th", {scope: "row", class: quiet ? "quiet" : ""}, el("span.value", name.length > SHORT_VALUE ? `${name.slice(0, SHORT_VALUE)}…` : name)),
    el("td", el("span.track", {"aria-hidden": "true"}, el("span", {class: `bar ${kind}`, place: {width: `${100 * votes / Math.max(1, of)}%`}})), el("span.number", `${votes} of ${of}`)), el("td", note));
}

function remaining(before, kept) {
  const gone = before.map((_, at) => at).filter(at => !kept.includes(at));
  const chip = (at, rank) => el("li", {class: rank == null ? "gone" : ""}, rank != null && kept.length > 1 ? [el("b", `${rank + 1}.`), " "] : null, rank == null ? el("s", `answer ${at + 1}`) : `answer ${at + 1}`, " ", quiet(before[at].agent, rank == null ? ", removed" : ""));
  return el("ol.chips", {"aria-label": "answers in their new order, then removed ones"}, few([...kept.map(chip), ...gone.map(at => chip(at, null))]));
}

const few = chips => chips.length > MOST_CHIPS ? [...chips.slice(0, MOST_CHIPS), el("li.quiet", `and ${chips.length - MOST_CHIPS} more`)] : chips;

function sayingList(step, sayings, pick) {
  const line = ({call, names}) => el("li", el("button.plain", {title: "Show its prompt", onclick: () => pick(call)}, call.agent), " ",
    names.length ? names.join(" > ") : el("span.error", "no valid verdict"));
  return el("details", {open: sayings.some(each => !each.names.length)}, el("summary", `What judges said in ${counted(sayings.length, "call")}`),
    el("ol.said", sayings.slice(0, MOST_SAYINGS).map(line)), sayings.some(each => each.names.some(name => name.includes("/"))) && el("p.key", "1/2: answers 1 and 2 have the same text"), sayings.length > MOST_SAYINGS && el("p.quiet", `and ${sayings.length - MOST_SAYINGS} more`));
}
