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
  const command = startCommand("cli/sustenet.ts", args, { env });
  cleanups.push(() => command.child.kill());
  return command;
}

const event = (subject: string): string =>
  `id: a-1\nevent: cluster.state\ndata: ${JSON.stringify({ atMs: 1, subject, data: {} })}\n\n`;

describe("the stream of events", () => {
  it("is taken up again where it breaks, also while the master has something in the way of it", async () => {
    const problem = { code: "TOO_MANY_SUBSCRIBERS", detail: "Try again.", requestId: "0123456789" };
    let calls = 0;
    const master = await startMaster((_, response) => {
      calls += 1;
      const [status, text] = calls === 2 ? [503, JSON.stringify(problem)] : [200, event(`cluster:${calls}`)];
      response.writeHead(status);
      if (calls === 3) response.write(text);
      else response.end(text);
    });
    const command = sustenet(["events"], master);
    await command.line(/cluster:1/);
    await command.line(/cluster:3/);
    expect(calls).toBe(3);
  });

  it("is not waited for where there never was one", async () => {
    const command = sustenet(["events"], "http://127.0.0.1:9");
    expect(await command.ended).toBe(exitCodes.UNREACHABLE);
    expect(command.stderr[0]).toMatch(/^events failed: the master at http:\/\/127.0.0.1:9 cannot be reached/);
  });
});

it("ends without a word when whoever reads what it prints has read enough", async () => {
  const master = await startMaster((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const timer = setInterval(() => response.write(event("cluster:a")), 10);
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
