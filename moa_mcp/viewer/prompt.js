// The exact prompt of one call, with the earlier answers in it marked.
import {el, region} from "./elements.js";
import {callsOf, counted, keyOf, named} from "./figures.js";
const LONGEST_PROMPT = 500000;
const MOST_BLOCKS = 300;
const MOST_NAMED = 24;
const HEAD = /^----- ((?:comment \d+ on )?answer \d+)(?: of \d+)? \(([0-9a-f]+)\)(?:, rank.*?\))?(, cut off at its token limit|, only its beginning)? -----\n/gm;

export function blocks(text) {  // the answers and comments in a prompt, as moa_mcp/steps/prompts.py fences them: [{name, short, from, to}]
  const found = [];
  let tried = 0;
  HEAD.lastIndex = 0;
  for (let head; tried++ < MOST_BLOCKS && (head = HEAD.exec(text));) {
    const from = head.index + head[0].length, to = text.indexOf(`\n----- end of ${head[1]} (${head[2]}) -----`, from);
    if (to < from) continue;
    found.push({name: head[1], short: head[3] ?? "", from, to});
    HEAD.lastIndex = to;
  }
  return found;
}

export function prompt(run, picked) {
  const calls = callsOf(run);
  const call = calls.find(each => keyOf(each) === picked) ?? calls.at(-1);
  if (!call?.messages?.length) return null;
  const step = run.steps.find(each => each.step === call.place.step);
  const earlier = writers(run, call.place.step);
  return el("details", {open: true, id: "prompt"}, el("summary", `Prompt of ${named(step).get(call)}, step ${step.step} ${step.kind} (${counted(call.usage.prompt_tokens, "token")})`),
    call.window && el("p.key", `The answers before this step do not fit in one prompt: ${call.window}`),
    contents(call, earlier),
    call.messages.map(message => el("div.message", el("h3.quiet", message.role), el("pre", region(`${message.role} message`), withAnswers(message.content, earlier)))),
    el("p.key", [...new Set(call.attempts.map(each => each.model))].map(model => el("span", `sent to ${model}`)), parameters(call)),
    call.attempts.filter(each => each.failure).map(each => el("p.error", `${each.model}: ${each.failure.kind}: ${each.failure.message}`)));
}

function contents(call, earlier) {  // the same as the marks, for those who don't see them
  const held = call.messages.flatMap(({content}) => content.length > LONGEST_PROMPT ? [] : blocks(content).map(each => ({...each, written: content.slice(each.from, each.to)})));
  return held.length ? el("ul.key", {"aria-label": "answers in this prompt"}, held.slice(0, MOST_NAMED).map(({name, short, written}) => el("li", el("i", {class: short ? "cut" : "most"}), `${name}${writer(written, short, earlier)}${short}`)),
    held.length > MOST_NAMED && el("li", `and ${held.length - MOST_NAMED} more`)) : null;
}

function parameters(call) {
  const sent = call.attempts.at(-1)?.parameters ?? {};
  return Object.entries(sent).map(([name, value]) => el("code", `${name} = ${JSON.stringify(value)}`));
}

function writers(run, before) {  // who wrote each text of the earlier steps: of each step the first, with the number of others
  const found = new Map();
  for (const step of run.steps) {
    if (step.step >= before) break;
    const names = named(step), here = new Map();
    for (const call of step.calls) if (call.text) here.set(call.text, [...(here.get(call.text) ?? []), names.get(call)]);
    for (const [text, [first, ...others]] of here) found.set(text, `${first}, step ${step.step}${others.length ? `, or ${counted(others.length, "other")} with the same text` : ""}`);
  }
  return found;
}

function withAnswers(text, earlier) {
  if (text.length > LONGEST_PROMPT) return [text];
  const parts = [];
  let at = 0;
  for (const {name, short, from, to} of blocks(text)) {
    const written = text.slice(from, to), title = `${name} of this prompt${writer(written, short, earlier)}${short}`;
    parts.push(text.slice(at, from), written && el("mark", {class: short ? "cut" : "most", title}, written));
    at = to;
  }
  return [...parts, text.slice(at)];
}

function writer(written, short, earlier) {
  if (earlier.has(written)) return `, by ${earlier.get(written)}`;
  if (!short) return "";
  const [, by] = [...earlier].find(([text]) => text.startsWith(written.trimEnd())) ?? [];
  return by ? `, by ${by}` : "";
}
