// The commands that continue from here. A page in a chat has asks.js in its place.
import {el, section} from "./elements.js";
import {layers, otherModel} from "./figures.js";
const SAFE_ID = /^[\w.-]+$/;  // an id is pasted into a shell

export function commands(run) {
  const last = layers(run).at(-1), id = run.run_id, list = [];
  if (!SAFE_ID.test(id)) return null;
  if (run.interrupted || run.status === "failed" || run.status === "cancelled") list.push(["Resume this run", `moa-mcp runs resume ${id}`]);
  if (last) list.push([`Fork from step ${last.step}`, `moa-mcp runs fork ${id} --from ${last.step} --set ${otherModel(last)}`]);
  if (run.forked_from) list.push(["Compare with its parent", `moa-mcp runs export ${id} --compare parent --html compared.html`]);
  list.push(["Export as JSON", `moa-mcp runs export ${id} -o run.json`]);
  return section("next", "Continue from here",
    el("ul.commands", list.map(([name, line]) => el("li", el("span", name), el("code", {tabindex: 0}, line), copy(line)))));
}

const copied = new Map();  // what became of each command that the reader copied
function copy(line) {
  if (!navigator.clipboard) return null;
  return el("button", {"aria-label": `Copy: ${line}`, onclick: async ({currentTarget}) => {
    try { await navigator.clipboard.writeText(line); copied.set(line, "Copied"); } catch { copied.set(line, "Select the text to copy it"); }
    currentTarget.textContent = copied.get(line);
  }}, copied.get(line) ?? "Copy");
}
