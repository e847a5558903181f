// The exact prompt of one call, with the earlier answers in it marked.
import {el} from "./elements.js";
import {callsOf, count, keyOf} from "./figures.js";
const SHORTEST = 20;
const LONGEST_PROMPT = 200000;

export function prompt(run, picked) {
  const calls = callsOf(run);
  const call = calls.find(each => keyOf(each) === picked) ?? calls.at(-1);
  if (!call?.messages?.length) return null;
  const earlier = calls.filter(each => each.place.step < call.place.step && each.text?.trim().length >= SHORTEST).slice(-100);
  return el("details", {open: true, id: "prompt"}, el("summary", {}, `Prompt of ${call.agent}, step ${call.place.step} (${count(call.usage.prompt_tokens)} tokens)`),
    call.messages.map(message => el("div", {class: "message"}, el("h3", {class: "quiet"}, message.role), el("pre", {tabindex: 0}, withAnswers(message.content, earlier)))),
    call.attempts.filter(each => each.failure).map(each => el("p", {class: "error"}, `${each.model}: ${each.failure.kind}: ${each.failure.message}`)));
}

function withAnswers(text, earlier) {
  if (text.length > LONGEST_PROMPT) return [text];
  return earlier.reduce((parts, call) => parts.flatMap(part => typeof part === "string" ? cut(part, call) : [part]), [text]);
}

function cut(part, call) {
  const answer = call.text.trim(), at = part.indexOf(answer);
  return at < 0 ? [part] : [part.slice(0, at), el("mark", {class: "most", title: `answer of ${call.agent}, step ${call.place.step}`}, answer), part.slice(at + answer.length)];
}
