// The page of a run that is in it, or of two: keeps what the reader has chosen.
import {clean, el} from "./elements.js";
import {drawings} from "./run.js";
import {withTurns} from "./turns.js";
import {focusOn, update} from "./update.js";
import {restored} from "./whole.js";

const main = document.querySelector("main");
let data = null;
let view = {picked: null, layer: null, side: null};

function change(next, call) {
  view = {...view, ...next};
  draw();
  focusOn(view, call, "side" in next ? "[aria-pressed=true]" : `#tab${view.layer}`);
}

function draw() {
  const drawn = drawings[data.other ? "compared" : "run"](data, view, null, change);
  update(main, data.other ? drawn : withTurns(data.run, drawn));
}

try {
  data = restored(JSON.parse(document.getElementById("run").textContent));
  document.title = clean(`${data.run.pipeline} · ${data.run.run_id}`);
  draw();
} catch (error) {
  main.replaceChildren(el("p.error", {role: "alert"}, `This page can't show the run: ${error.message}`));
}
