// Uses the server as hosts that are built on the official TypeScript SDKs do, and prints what they would see, as JSON.
//
//   node session.mjs v1|v2 COMMAND ARGUMENT...
//
// The server needs a pipeline `quick`, and one named `slow` that takes longer than this session.

const [generation, command, ...args] = process.argv.slice(2);
const call = await connected();
const question = { question: "Is it going to rain?" };

const progress = [];
const answered = await call("quick", question, { onprogress: (each) => progress.push(each) });

let timedOut;
const timeout = { timeout: 600, onprogress: (each) => (timedOut = runOf(each)) };
const timeoutError = await call("slow", question, timeout).catch((error) => error);
const kept = await call("moa_wait", { run_id: timedOut, wait_s: 0 });

let aborted;
const controller = new AbortController();
const escape = { signal: controller.signal, onprogress: (each) => ((aborted = runOf(each)), controller.abort("Esc")) };
await call("slow", question, escape).catch(() => {});
const ended = await call("moa_wait", { run_id: aborted });

const version = call.client.getNegotiatedProtocolVersion?.();
const tools = (await call.client.listTools()).tools.map((tool) => tool.name);
await call.client.close();
console.log(JSON.stringify({ version, tools, answered, progress, timeoutError: `${timeoutError}`, kept, ended }));

function runOf({ message }) {
  return /\(run (\w+)\)/.exec(message)[1];
}

async function connected() {
  const identity = { name: "typescript", version: "1" };
  if (generation === "v1") {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
    const client = new Client(identity);
    await client.connect(new StdioClientTransport({ command, args }));
    return calling(client, (options) => [undefined, options]);
  }
  const { Client } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const client = new Client(identity, { versionNegotiation: { mode: "auto" } });
  await client.connect(new StdioClientTransport({ command, args }));
  return calling(client, (options) => [options]);
}

function calling(client, rest) {
  const call = (name, given, options = {}) => client.callTool({ name, arguments: given }, ...rest(options));
  return Object.assign(call, { client });
}
