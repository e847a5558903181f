// What a reader of a chat can do with a run, in place of commands.js. What costs money is asked for in the chat.
import {el} from "./elements.js";
import {layers, otherModel, statusOf} from "./figures.js";

export function commands(run, source) {
  const {view, change} = source;
  const button = (id, name, onclick, props) => el("button", {id, onclick, ...props}, name);
  const ask = message => async () => change({said: await source.ask(message) ? "Sent to the chat." : `The host does not accept this message. Write in the chat: ${message}`});
  const save = async () => change({said: await source.save(`run-${run.run_id}.json`, JSON.stringify(run, null, 1)) ? "Saved." : "The host did not save the file."});
  return el("div.asks",
    source.followed && !source.fullscreen && button("whole", view.whole ? "Hide details" : "Show details", () => change({whole: !view.whole, said: ""}), {"aria-expanded": String(view.whole)}),
    source.canFill && button("fill", source.fullscreen ? "Exit full screen" : "Full screen", () => source.fill(source.fullscreen ? "inline" : "fullscreen")),
    questionsOf(run).map(([id, name, message]) => button(id, name, ask(message), {title: message})),
    source.canSave && source.followed && button("save", "Save as JSON", save),
    el("p.quiet", {role: "status"}, view.said));
}

function questionsOf(run) {  // [id, name, message], with nothing in a message that a model wrote
  const id = run.run_id, step = layers(run).at(-1), last = Number(step?.step);
  if (!/^[\w-]{1,64}$/.test(id) || statusOf(run) === "running") return [];
  const stopped = ["interrupted", "failed", "cancelled"].includes(statusOf(run));
  return [stopped && ["resume", "Resume…", `Resume run ${id} with moa_resume. Completed calls are not paid for again. Before you start, tell me what the remaining calls may cost.`],
    last && ["fork", "Try another model…", `Fork run ${id} from step ${last} with another model: moa_fork, step = ${last}, changes = ["${otherModel(step)}"]. Before you start, propose a model and tell me what it may cost.`],
    last && ["differ", "Where do the answers differ?", `Read run ${id} with moa_trace and tell me where its answers differ. Do not start a new run.`]].filter(Boolean);
}
