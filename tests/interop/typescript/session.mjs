// Uses the server as hosts that are built on the official TypeScript SDKs do, and prints what they would see, as JSON.
//
//   node session.mjs v1|v2 COMMAND ARGUMENT...
//
// The server needs a pipeline `quick`, and one named `slow` that takes longer than this session.

import { connected } from "./clients.mjs";

const [generation, command, ...args] = process.argv.slice(2);
const call = await connected(generation, command, args);
const question = { question: "Is it going to rain?" };
const tools = (await call.client.listTools()).tools.map((tool) => tool.name); // from here on, results are validated

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
const trace = await call("moa_trace", { run_id: answered.structuredContent.run_id });
const estimate = await call("moa_estimate", { pipeline: "quick" });
await call.client.close();
const seen = { version, tools, answered, progress, timeoutError: `${timeoutError}`, kept, ended, trace, estimate };
console.log(JSON.stringify(seen));

function runOf({ message }) {
  return /\(run (\w+)\)/.exec(message)[1];
}
