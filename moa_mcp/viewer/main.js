// Connects the source with the page, and keeps what the reader has chosen.
import {clean, el} from "./elements.js";
import {drawings} from "./run.js";
import {update} from "./update.js";
import {restored} from "./whole.js";

const main = document.querySelector("main");
const source = {start: show => show(JSON.parse(document.getElementById("run").textContent))};
let data = null;
let view = {picked: null, layer: null, side: null};

function change(next, call) {
  view = {...view, ...next};
  draw();
  const target = call ? `[data-call="${view.picked}"]` : "side" in next ? "[aria-pressed=true]" : `#tab${view.layer}`;
  main.querySelector(target)?.focus({preventScroll: true});
  if (call) main.querySelector(`[data-card="${view.picked}"]`)?.scrollIntoView({block: "nearest"});
}

function draw() {
  update(main, drawings[data.other ? "compared" : "run"](data, view, source, change));
}

try {
  source.start(next => { data = restored(next); document.title = clean(`${data.run.pipeline} · ${data.run.run_id}`); draw(); });
} catch (error) {
  main.replaceChildren(el("p.error", {role: "alert"}, `This page can't show the run: ${error.message}`));
}
