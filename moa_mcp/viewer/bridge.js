// The page's side of MCP Apps, revision 2026-01-26: JSON-RPC messages to and from the window of the host.
const REVISION = "2026-01-26";
const ANSWER_MS = 30000;  // for the greeting; a host may let other requests wait for its user

export function bridge(listeners) {  // `listeners` has a function for each notification of the host
  const host = window.parent, waiting = new Map();
  let last = 0;
  const post = message => host.postMessage({jsonrpc: "2.0", ...message}, "*");  // the page can't know the host's origin
  const notify = (method, params = {}) => post({method, params});
  const request = (method, params) => new Promise((resolve, reject) => {
    waiting.set(++last, {resolve, reject});
    post({id: last, method, params});
  });
  window.addEventListener("message", event => {
    if (event.source !== host || event.data?.jsonrpc !== "2.0") return;
    const {id, method, params} = event.data;
    if (method === undefined) settle(waiting, event.data);
    else if (id === undefined) listeners[method.replace("ui/notifications/", "")]?.(params ?? {});
    else if (method === "ui/resource-teardown") { listeners.teardown(); post({id, result: {}}); }
    else if (method === "ping") post({id, result: {}});
    else post({id, error: {code: -32601, message: `Method not found: ${method}`}});
  });
  return {request, connect: () => connected(request, notify)};
}

function settle(waiting, {id, result, error}) {
  const asked = waiting.get(id);
  waiting.delete(id);
  if (error) asked?.reject(new Error(String(error.message)));
  else asked?.resolve(result ?? {});
}

async function connected(request, notify) {
  if (window.parent === window) throw new Error("a host of MCP Apps must open it");
  const late = new Promise((_, reject) => setTimeout(reject, ANSWER_MS, new Error("the host does not answer")));
  const greeting = request("ui/initialize", {appInfo: {name: "moa-mcp", version: "1"},
    appCapabilities: {availableDisplayModes: ["inline", "fullscreen"]}, protocolVersion: REVISION});
  const {protocolVersion, hostCapabilities = {}, hostContext = {}} = await Promise.race([greeting, late]);
  if (!protocolVersion) throw new Error("the host does not support MCP Apps");
  notify("ui/notifications/initialized");
  const measure = () => notify("ui/notifications/size-changed", {height: Math.ceil(document.body.getBoundingClientRect().height)});
  new ResizeObserver(measure).observe(document.body);
  return {capabilities: hostCapabilities, context: hostContext};
}

export function applyContext({theme, styles, safeAreaInsets: inset}) {  // shows the page in the colors and fonts of the host
  const root = document.documentElement;
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  for (const [name, value] of Object.entries(styles?.variables ?? {})) {
    if (!/^--(color|font|border-radius)-[\w-]+$/.test(name)) continue;
    if (typeof value === "string") root.style.setProperty(name, value); else root.style.removeProperty(name);
  }
  if (inset) document.body.style.padding = ["top", "right", "bottom", "left"].map(side => `${Number(inset[side]) || 0}px`).join(" ");
  if (typeof styles?.css?.fonts === "string") fonts(styles.css.fonts);
}

function fonts(rules) {
  const element = document.getElementById("fonts") ?? document.head.appendChild(document.createElement("style"));
  element.id = "fonts";
  element.textContent = rules;
}
