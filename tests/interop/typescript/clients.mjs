// Clients built on the official TypeScript SDKs, v1 and v2, which are called alike here.

/** Starts a server and connects to it; `user` answers what the server asks, and without one it can't ask. */
export async function connected(generation, command, args, user) {
  const identity = { name: "typescript", version: "1" };
  const options = { capabilities: user ? { elicitation: {} } : {} };
  if (generation === "v1") {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
    const { ElicitRequestSchema } = await import("@modelcontextprotocol/sdk/types.js");
    const client = new Client(identity, options);
    if (user) client.setRequestHandler(ElicitRequestSchema, async ({ params }) => user(params));
    await client.connect(new StdioClientTransport({ command, args }));
    return calling(client, (options) => [undefined, options]);
  }
  const { Client } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const client = new Client(identity, { ...options, versionNegotiation: { mode: "auto" } });
  if (user) client.setRequestHandler("elicitation/create", async ({ params }) => user(params));
  await client.connect(new StdioClientTransport({ command, args }));
  return calling(client, (options) => [options]);
}

function calling(client, rest) {
  const call = (name, given, options = {}) => client.callTool({ name, arguments: given }, ...rest(options));
  return Object.assign(call, { client });
}
