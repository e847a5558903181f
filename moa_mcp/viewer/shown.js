// What the pages of `moa-mcp view` have in common: they show what is drawn, and above it what went wrong.
import {el} from "./elements.js";
import {update} from "./update.js";

const shownIn = document.querySelector("main"), inside = location.pathname !== "/";
let problem = null, drawing = () => problem ? [] : [el("p.quiet", {"data-key": "loading"}, "Loading…")];

export function show(next = drawing) {  // `next` returns the elements of the page, now and after each problem
  drawing = next;
  const up = inside && el("nav", {"aria-label": "runs", "data-key": "up"}, el("a.quiet", {href: "/"}, "← All runs"));
  const alert = problem && el("p.error", {role: "alert", "data-key": "problem"}, problem.message);
  update(shownIn, [up, alert, ...drawing()].filter(Boolean));
}

export function fail(error) {
  if (error?.message === problem?.message) return;
  problem = error;
  show();
}
