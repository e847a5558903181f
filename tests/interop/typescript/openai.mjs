// Uses the server as programs do that are built on OpenAI's own client, and prints what they would see, as JSON.
//
//   node openai.mjs URL MODEL

import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is 17 * 23?" }];

const models = [];
for await (const each of client.models.list()) models.push(each.id);

const answer = await client.chat.completions.create({ model, messages, moa: { max_cost_usd: 1 } });

let text = "";
let usage;
const options = { model, messages, stream: true, stream_options: { include_usage: true } };
for await (const chunk of await client.chat.completions.create(options)) {
  text += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}

const errors = [];
for (const wrong of [{ model: "nosuch" }, { tools: [{ type: "function", function: { name: "f" } }] }]) {
  const error = await client.chat.completions.create({ model, messages, ...wrong }).catch((error) => error);
  errors.push([error.constructor.name, error.status, error.code, error.param]);
}

console.log(JSON.stringify({ models, answer, text, usage, errors }));
