import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { afterEach, expect, it } from "vitest";
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
