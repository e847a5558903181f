// The list of runs of `moa-mcp view`, at /. Its address has the filters.
import {drawList} from "./list.js";
import {ask, keyOfServer, repeated} from "./served.js";
import {fail, show} from "./shown.js";
const LIST_MS = 2000, WAITING_MS = 100, TYPED_MS = 150;

const key = keyOfServer(), query = new URLSearchParams(location.search);
let chosen = {status: query.get("status") ?? "", pipeline: query.get("pipeline") ?? "", text: query.get("text") ?? "", page: Number(query.get("page")) || 1}, typing = null;
const asked = () => String(new URLSearchParams(Object.entries(chosen).filter(([name, value]) => value && !(name === "page" && value === 1))));

function choose(next) {
  chosen = {...chosen, ...next};
  history.replaceState(null, "", asked() ? `/?${asked()}` : "/");
  clearTimeout(typing);
  typing = setTimeout(look, "text" in next ? TYPED_MS : 0);
}

document.title = "Runs · moa-mcp";
show();
const look = repeated(async () => {
  const before = asked(), data = await ask(`/data/runs?${before}`, key);
  if (before !== asked()) return 0;
  show(() => drawList(data, chosen, choose));
  return data.rows.some(row => row.waits) ? WAITING_MS : LIST_MS;
}, fail);
