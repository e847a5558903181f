// The page of a run in a chat: connects the host with the page, and keeps what the reader has chosen.
import {inChat, wholeIn} from "./chat.js";
import {el} from "./elements.js";
import {hosted} from "./hosted.js";
import {drawRun} from "./run.js";
import {focusOn, update} from "./update.js";

const main = document.querySelector("main");
const source = hosted();
let data = null;

function change(next, call) {
  const view = source.view = {...source.view, ...next};
  draw();
  if (call || "layer" in next) focusOn(view, call, `#tab${view.layer}`);
}

function draw() {
  main.classList.toggle("brief", !wholeIn(source));
  update(main, inChat(drawRun(data.run, data.trees, source.view, source, change), data.run, source));
}

setInterval(() => { if (data?.run.status === "running" && !document.hidden) draw(); }, 1000);  // its bars grow between two news
Object.assign(source, {change, view: {picked: null, layer: null, whole: false, said: ""}});
source.start(next => { data = next; draw(); }).catch(error => {
  main.replaceChildren(el("p.error", {role: "alert"}, `This page can't show the run: ${error.message}`));
});
