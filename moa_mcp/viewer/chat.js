// The page inside a chat: at first only what a reader of the chat needs.
import {el} from "./elements.js";
import {count, counted, dollars, tokens} from "./figures.js";
const FIRST = ".head, .answer, .long, .facts, .notes, .asks";

export const wholeIn = source => source.followed && (source.view.whole || source.fullscreen);

export function inChat(parts, run, source) {
  const problem = source.problem && el("p.error", {role: "alert"}, `This view is not up to date: ${source.problem} `, el("button", {id: "retry", onclick: source.retry}, "Try again"));
  if (!source.followed && (!run.run_id || run.status === "waiting")) return [parts[0], el("p.raw", {role: "status"}, source.told || "Waiting for the run to start…"), problem].filter(Boolean);
  const first = run.status === "running" ? `${FIRST}, [aria-labelledby=when]` : FIRST;
  const shown = wholeIn(source) ? parts : parts.filter(part => part.matches(first) && (source.followed || !part.matches(".facts")));
  return [...shown, source.followed ? null : el("p.quiet", chatSummary(run)), problem].filter(Boolean);
}

function chatSummary({layers: all = [], usage, cost_usd: cost}) {
  const sum = name => all.reduce((number, layer) => number + layer[name], 0);
  return `${sum("answered")} of ${counted(sum("answered") + sum("failed"), "call")} answered · ${count(tokens(usage))} tokens · ${dollars(cost)}`;
}
