// The pages of `moa-mcp view`: the list of runs at /, and a run at /runs/ID.
import {clean, el} from "./elements.js";
import {drawList} from "./list.js";
import {drawRun} from "./run.js";
import {ask, keyOfServer, repeated, served} from "./served.js";
import {update} from "./update.js";
const LIST_MS = 2000, WAITING_MS = 100, TYPED_MS = 150;
const main = document.querySelector("main"), key = keyOfServer(), path = /^\/runs\/([^/]+)$/.exec(location.pathname);
let problem = null, current = () => problem ? [] : [el("p", {class: "quiet", "data-key": "loading"}, "Loading…")];

function draw() {
  const alert = problem && el("p", {class: "error", role: "alert", "data-key": "problem"}, problem.message);
  update(main, [path && el("nav", {"aria-label": "runs", "data-key": "up"}, el("a", {class: "quiet", href: "/"}, "← All runs")), alert, ...current()].filter(Boolean));
}

function fail(error) {
  if (error?.message === problem?.message) return;
  problem = error;
  draw();
}

function showRun(id) {
  let data = null, view = {picked: null, layer: null};
  const source = served(id, key);
  function change(next, call) {
    view = {...view, ...next};
    draw();
    main.querySelector(call ? `[data-call="${view.picked}"]` : `#tab${view.layer}`)?.focus({preventScroll: true});
    if (call) main.querySelector(`[data-card="${view.picked}"]`)?.scrollIntoView({block: "nearest"});
  }
  source.start(next => {
    data = next;
    current = () => drawRun(data.run, data.trees, view, source, change);
    document.title = clean(`${data.run.status === "running" ? "… " : ""}${data.run.question.text.slice(0, 60)} · ${data.run.pipeline}`);
    draw();
  }, fail);
}

function showList() {
  const query = new URLSearchParams(location.search);
  let chosen = {status: query.get("status") ?? "", pipeline: query.get("pipeline") ?? "", text: query.get("text") ?? "", page: Number(query.get("page")) || 1}, typing = null;
  document.title = "Runs · moa-mcp";
  const asked = () => String(new URLSearchParams(Object.entries(chosen).filter(([name, value]) => value && !(name === "page" && value === 1))));
  const look = repeated(async () => {
    const query = asked(), data = await ask(`/data/runs?${query}`, key);
    if (query !== asked()) return 0;
    current = () => drawList(data, chosen, choose);
    draw();
    return data.rows.some(row => row.waits) ? WAITING_MS : LIST_MS;
  }, fail);
  function choose(next) {
    chosen = {...chosen, ...next};
    const query = asked();
    history.replaceState(null, "", query ? `/?${query}` : "/");
    clearTimeout(typing);
    typing = setTimeout(look, "text" in next ? TYPED_MS : 0);
  }
}

draw();
if (path) showRun(decodeURIComponent(path[1]));
else showList();
