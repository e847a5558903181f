// The list of runs: filters, one line per run, and its pages.
import {el} from "./elements.js";
import {count, counted, dollars, duration, elapsed} from "./figures.js";
const NAMES = ["Status", "Question", "Pipeline", "Started", "Time", "Cost"];
const STATUSES = ["queued", "running", "interrupted", "complete", "degraded", "failed", "cancelled"];

export function drawList(data, chosen, choose) {
  const {rows, found, total, place} = data;
  return [el("header.head", el("h1", {}, "Runs"), el("p.quiet", {"data-key": "place"}, place)),
    total ? filtering(data, chosen, choose) : null,
    rows.length ? el("ol.runs", {"aria-label": "runs"}, el("li.names", {"aria-hidden": "true", "data-key": "names"}, NAMES.map(name => el("span", {}, name))), rows.map(entry)) : nothing(total),
    total ? paging(data, choose, found) : null].filter(Boolean);
}

function filtering({pipelines}, chosen, choose) {
  const set = name => event => choose({[name]: event.target.value, page: 1});
  const select = (name, label, any, values) => el("label", {}, el("span", {}, label), el("select", {id: name, onchange: set(name)}, el("option", {value: "", selected: !chosen[name]}, any),
    [...new Set([...values, ...(chosen[name] ? [chosen[name]] : [])])].map(value => el("option", {value, selected: value === chosen[name]}, value))));
  return el("search.filters",
    el("label.wide", el("span", {}, "Question"), el("input", {id: "text", type: "search", value: chosen.text, placeholder: "Words of the question", autocomplete: "off", spellcheck: "false", oninput: set("text")})),
    select("status", "Status", "All statuses", STATUSES), select("pipeline", "Pipeline", "All pipelines", pipelines));
}

function entry(run) {
  const known = run.status !== "damaged" && !run.waits;
  return el("li", {"data-key": run.run_id},
    el("span", {class: `chip ${run.status}`}, run.status),
    el("a", {href: `/runs/${encodeURIComponent(run.run_id)}`}, run.question || "(question not stored)"),
    el("span", {class: "quiet what"}, run.pipeline),
    el("time.quiet", {datetime: new Date(run.started_at * 1000).toISOString(), title: new Date(run.started_at * 1000).toLocaleString("en")}, run.started_at ? moment(run.started_at) : ""),
    el("span.took", known ? duration(elapsed(run)) : ""), el("span", {class: run.simulated ? "cost quiet" : "cost"}, !known ? "" : run.simulated ? "simulated" : dollars(run.cost_usd)));
}

function moment(seconds) {  // the time of today, the date of another day
  const then = new Date(seconds * 1000), now = new Date(), write = format => new Intl.DateTimeFormat("en", {hourCycle: "h23", ...format}).format(then);
  if (then.toDateString() === now.toDateString()) return write({hour: "2-digit", minute: "2-digit"});
  return then.getFullYear() === now.getFullYear() ? write({day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"}) : write({day: "numeric", month: "short", year: "numeric"});
}

function nothing(total) {
  if (total) return el("p.empty", {"data-key": "empty"}, "No run matches these filters.");
  return el("div.empty", {"data-key": "first"}, el("p", {}, "There are no runs yet. The next one appears here as soon as it starts:"), el("code", {tabindex: 0}, 'moa-mcp ask vote "Why is the sky blue?"'));
}

function paging({page, pages, size, rows}, choose, found) {
  const first = (page - 1) * size;
  const step = (label, to) => el("button", {"data-key": label, disabled: to < 1 || to > pages, onclick: () => choose({page: to})}, label);
  return el("nav", {class: "row pages", "aria-label": "pages"}, el("span.quiet", {role: "status"}, found > rows.length ? `${count(first + 1)} to ${count(first + rows.length)} of ${counted(found, "run")}` : counted(found, "run")),
    pages > 1 ? [step("Newer", page - 1), step("Older", page + 1)] : null);
}
