// The source of a page of `moa-mcp view`: it asks its own server, with the key that came with the address.
import {merged} from "./live.js";
const NAME = "moa-mcp-view", RUNNING_MS = 1000, ENDED_MS = 5000, LOST_MS = 3000, SHARE = 5;  // waits so many times as long as it took. It asks again and again, since the bars of a run grow by the second anyway
const LOST = "moa-mcp view does not answer. The page shows what it got before, and goes on once it answers again.";

export function keyOfServer() {  // from the page that the address opened, which then leaves the address bar; else from an earlier one
  const given = document.querySelector("meta[name=moa-key]").content, query = new URLSearchParams(location.search);
  for (const name of ["key", "open"]) query.delete(name);
  if (given) history.replaceState(null, "", location.pathname + (query.size ? `?${query}` : ""));
  try {
    if (given) localStorage.setItem(NAME, given);
    return given || localStorage.getItem(NAME) || "";
  } catch { return given; }  // storage is blocked
}

export async function ask(path, key) {
  let reply;
  try { reply = await fetch(path, {headers: {"X-Moa-Key": key}, cache: "no-store"}); } catch { throw new Error(LOST); }
  if (!reply.ok) throw new Error(await reply.text());
  return reply.json();
}

export function repeated(look, fail) {  // looks now and again, but not in a hidden tab; `look` returns the milliseconds until the next time
  let timer = null, busy = false, again = false;
  async function turn() {
    clearTimeout(timer);
    if (busy) { again = true; return; }
    busy = true; again = false;
    let wait = LOST_MS;
    const began = performance.now();
    try { wait = await look(); fail(null); } catch (error) { fail(error); }
    busy = false;
    if (wait >= RUNNING_MS) wait = Math.max(wait, SHARE * (performance.now() - began));
    if (!document.hidden) timer = setTimeout(turn, again ? 0 : wait);
  }
  document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(timer) : turn());
  turn();
  return turn;
}

export function served(path, key) {  // calls `show` with the data of the run at each change, and each second while it runs
  return {start(show, fail) {
    let data = null;
    repeated(async () => {
      const news = await ask(`${path}?mark=${data?.mark ?? 0}`, key), first = !data;
      const status = data?.run.status, interrupted = data?.run.interrupted;
      data = merged(data, news);
      const same = news.done && !news.steps.length && data.run.status === status && data.run.interrupted === interrupted;
      if (first || !same) show(data);
      return news.done ? ENDED_MS : RUNNING_MS;
    }, fail);
  }};
}
