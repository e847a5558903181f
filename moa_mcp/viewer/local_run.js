// The page of a run of `moa-mcp view`, at /runs/ID.
import {clean} from "./elements.js";
import {pictures} from "./pictures.js";
import {drawRun} from "./run.js";
import {keyOfServer, served} from "./served.js";
import {fail, show} from "./shown.js";
import {withTurns} from "./turns.js";
import {focusOn} from "./update.js";

const path = `/data${location.pathname}`, key = keyOfServer(), source = served(path, key);
let view = {picked: null, layer: null};

function change(next, call) {
  view = {...view, ...next};
  show();
  focusOn(view, call, `#tab${view.layer}`);
}

show();
source.start(({run, trees}) => {
  document.title = clean(`${run.status === "running" ? "… " : ""}${run.question.text.slice(0, 60)} · ${run.pipeline}`);
  show(() => {
    const [head, ...rest] = drawRun(run, trees, view, source, change);
    return withTurns(run, [head, pictures(run, path, key, () => show()), ...rest].filter(Boolean), true);
  });
}, fail);
