// Asks its user about a run's cost as hosts that are built on the official TypeScript SDKs do, who first declines and
// then accepts; prints what they would see, as JSON.
//
//   node agreement.mjs v1|v2 COMMAND ARGUMENT...
//
// The server needs a pipeline `dear` that has to be agreed to.

import { connected } from "./clients.mjs";

const [generation, command, ...args] = process.argv.slice(2);
const question = { question: "Is it going to rain?", wait_s: 0 };
const says = [{ action: "decline" }, { action: "accept", content: { start: true } }];
const asked = [];
const call = await connected(generation, command, args, ({ message }) => (asked.push(message), says.shift()));

const declined = await call("dear", question);
const agreed = await call("dear", question);
await call.client.close();
console.log(JSON.stringify({ asked, declined, agreed }));
