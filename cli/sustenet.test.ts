import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { startCommand } from "../test/support/command.ts";
import { exitCodes } from "./exit-codes.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function startMaster(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  cleanups.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens at a port");
  return `http://127.0.0.1:${address.port}`;
}

function sustenet(args: readonly string[], master: string) {
  const env = { SUSTENET_MASTER: master, SUSTENET_TOKEN: "a.b.c", TURSO_DATABASE_URL: "" };
  return startCommand("cli/sustenet.ts", args, { env });
}

it("ends without a word when whoever reads what it prints has read enough", async () => {
  const master = await startMaster((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const event = JSON.stringify({ atMs: 1, subject: "cluster:a", data: {} });
    const timer = setInterval(() => response.write(`event: cluster.state\ndata: ${event}\n\n`), 10);
    response.on("close", () => clearInterval(timer));
  });
  const command = sustenet(["events"], master);
  await command.line(/cluster:a/);
  command.child.stdout?.destroy();
  expect({ exitCode: await command.ended, stderr: command.stderr }).toEqual({ exitCode: exitCodes.DONE, stderr: [] });
});

describe("a command about a cluster key that does not say all that it needs", () => {
  it.each([
    ["revoke", [], "revoke needs --key-id"],
    ["rotate", ["--public-key", "package.json"], "rotate needs --key-id"],
    ["enrol", ["--public-key", "package.json"], "enrol needs --name"],
  ] as const)("is typed wrongly: %s", async (name, args, said) => {
    const command = sustenet([name, ...args], "http://127.0.0.1:9");
    expect(await command.ended).toBe(exitCodes.USAGE);
    expect(command.stderr[0]).toBe(said);
    expect(command.stderr[1]).toMatch(new RegExp(`^usage: sustenet ${name} `));
  });
});
