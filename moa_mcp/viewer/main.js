// Connects the source with the page, and keeps what the reader has chosen.
import {el} from "./elements.js";
import {drawRun} from "./run.js";
import {embedded, restored} from "./source.js";

const main = document.querySelector("main");
const source = embedded(document.getElementById("run").textContent);
let data = null;
let view = {picked: null, layer: null};

function change(next, call) {
  view = {...view, ...next};
  draw();
  const target = call ? `[data-call="${view.picked}"]` : `#tab${view.layer}`;
  main.querySelector(target)?.focus({preventScroll: true});
  if (call) main.querySelector(`[data-card="${view.picked}"]`)?.scrollIntoView({block: "nearest"});
}

function draw() {
  main.replaceChildren(...drawRun(data.run, data.trees, view, source, change));
}

try {
  source.start(next => { data = restored(next); document.title = `${data.run.pipeline} · ${data.run.run_id}`; draw(); });
} catch (error) {
  main.replaceChildren(el("p", {class: "error", role: "alert"}, `This page can't show the run: ${error.message}`));
}
