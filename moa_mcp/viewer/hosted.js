// The run of a tool call in a chat. The host tells the call's arguments and result; the page asks the server for the rest.
import {applyContext, bridge} from "./bridge.js";
import {merged} from "./live.js";
const PAUSE_MS = 700;  // at least, between two questions to the server, which waits some seconds for news
const RETRIES = 4;
const MOST_IDLE = 60;  // questions without news about a run that nobody continues

export function hosted() {
  const call = {}, host = {capabilities: {}, context: {}};
  let data = null, follows = false, stopped = true, idle = 0, redraw = () => {};
  const link = bridge({
    "tool-input": given => { call.arguments = given.arguments ?? {}; follow(); },
    "tool-result": result => { call.result = result; redraw(); follow(); },
    "tool-cancelled": ({reason}) => { call.cancelled = `The call was cancelled${reason ? `: ${reason}` : "."}`; redraw(); },
    "host-context-changed": change => { Object.assign(host.context, change); applyContext(change); redraw(); },
    teardown: () => { stopped = true; },
  });

  async function follow() {  // one loop follows the run; it looks at what is known before each question
    if (follows || stopped) return;
    follows = true;
    source.problem = "";
    const most = host.capabilities.serverTools ? RETRIES : 1;
    for (let failures = 0; !stopped; await pause(failures)) {
      const {result} = call;
      try {
        if (await asked() && result === call.result) break;  // else the result came while the server was asked
        failures = 0;
      } catch (error) {
        if (++failures === RETRIES) source.problem = error.message;
        if (failures >= most) break;
      }
      redraw();
    }
    follows = false;
    redraw();
  }

  async function asked() {  // returns whether there is nothing more to ask
    if (data && data.run.run_id !== (resultOf(call) ?? data.run.run_id)) data = null;
    const known = resultOf(call) ?? data?.run.run_id ?? givenTo(call);
    if (!known && call.result) return true;
    const about = known ? {run_id: known} : {tool: call.tool, arguments: call.arguments};
    const {isError, content, structuredContent: news} = await link.request("tools/call", {name: "moa_view", arguments: {...about, mark: data?.mark ?? 0}});
    if (isError || !news) throw new Error(content?.[0]?.text ?? "the server does not answer");
    const now = resultOf(call);
    if (news.run_id && (now ?? news.run_id) === news.run_id) data = merged(data, news);
    idle = data?.run.interrupted && news.from === news.mark ? idle + 1 : 0;
    if (!data) return !now && Boolean(call.cancelled);
    return data.done && (!data.run.interrupted || idle > MOST_IDLE) && (now ?? data.run.run_id) === data.run.run_id;
  }

  async function accepted(method, params) {
    try { return !(await link.request(method, params)).isError; } catch { return false; }
  }

  function opened(event) {
    const address = event.target.closest?.("a")?.href;
    if (!address || !host.capabilities.openLinks) return;
    event.preventDefault();
    accepted("ui/open-link", {url: address});
  }

  const source = {
    problem: "",
    retry: () => follow(),
    get followed() { return data !== null; },  // whether there is more than what the host told
    get told() { return call.result && !resultOf(call) ? textOf(call.result) : call.cancelled; },
    get fullscreen() { return host.context.displayMode === "fullscreen"; },
    get canFill() { return host.context.availableDisplayModes?.includes("fullscreen"); },
    get canSave() { return Boolean(host.capabilities.downloadFile); },
    async start(show) {
      redraw = () => show(data ?? summarized(call));
      Object.assign(host, await link.connect());
      call.tool = host.context.toolInfo?.tool?.name;
      applyContext(host.context);
      document.addEventListener("click", opened);
      stopped = false;
      redraw();
      if (call.arguments || call.result) follow();
    },
    ask: message => accepted("ui/message", {role: "user", content: [{type: "text", text: message}]}),
    save: (name, written) => accepted("ui/download-file", {contents: [{type: "resource", resource: {uri: `file:///${name}`, mimeType: "application/json", text: written}}]}),
    async fill(mode) {
      try { host.context.displayMode = (await link.request("ui/request-display-mode", {mode})).mode; } catch { host.context.availableDisplayModes = []; }
      redraw();
    },
  };
  return source;
}

const resultOf = ({result}) => result?.structuredContent?.run_id;
const givenTo = ({arguments: given}) => given && "step" in given ? undefined : given?.run_id;  // maybe its beginning or `last`; a fork names another run

async function pause(failures) {
  await new Promise(resolve => setTimeout(resolve, PAUSE_MS * 2 ** failures));
  if (document.hidden) await new Promise(resolve => document.addEventListener("visibilitychange", resolve, {once: true}));
}

const textOf = result => (result.content ?? []).map(block => block.text ?? "").join("\n");

function summarized(call) {  // what the host told, for a page that has nothing from the server
  const {question = "", context, system} = call.arguments ?? {}, {layers = [], ...told} = call.result?.structuredContent ?? {};
  const run = {run_id: resultOf(call) ?? "", pipeline: call.tool ?? "", status: "waiting", answer: null, error: null, usage: {prompt_tokens: 0, completion_tokens: 0}, cost_usd: 0,
    estimate: null, notes: [], degradations: [], planned: [], seconds: null, ...told, steps: [], layers, question: told.question ?? {text: String(question), context, system}};
  return {run, trees: new Map()};
}
