import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { AdminApi } from "./admin-api.ts";

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

const keyOf = (request: IncomingMessage) => request.headers["idempotency-key"];

describe("[SEC-98] an order whose answer is lost", () => {
  it("is given again under its key, and another order under another", async () => {
    const keys: unknown[] = [];
    const origin = await startMaster((request, response) => {
      keys.push(keyOf(request));
      // Once without a word, and once in the middle of the answer.
      if (keys.length === 1) {
        request.socket.destroy();
        return;
      }
      response.writeHead(200, { "content-type": "application/json", "content-length": "13" });
      if (keys.length > 2) response.end('{"done":true}');
      else response.write('{"done"', () => request.socket.destroy());
    });
    const pauses: number[] = [];
    const api = new AdminApi(origin, "token", async (ms) => pauses.push(ms));
    expect(await api.order("POST", "/players/p/kick")).toEqual({ done: true });
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[\x21-\x7e]{8,128}$/);
    expect(pauses).toHaveLength(2);
    await api.order("POST", "/players/p/kick");
    expect(new Set(keys).size).toBe(2);
  });

  it("is given up after three times", async () => {
    let calls = 0;
    const origin = await startMaster((request) => {
      calls += 1;
      request.socket.destroy();
    });
    const api = new AdminApi(origin, "token", async () => undefined);
    await expect(api.order("POST", "/players/p/kick")).rejects.toThrow("cannot be reached");
    expect(calls).toBe(3);
  });

  it("is not repeated when the master has refused it", async () => {
    let calls = 0;
    const origin = await startMaster((_, response) => {
      calls += 1;
      response.writeHead(403).end('{"code":"FORBIDDEN","detail":"No.","requestId":"r"}');
    });
    const api = new AdminApi(origin, "token", async () => undefined);
    await expect(api.order("POST", "/players/p/kick")).rejects.toThrow("FORBIDDEN");
    expect(calls).toBe(1);
  });
});

it.each([
  ["UNAUTHENTICATED", "npm run operator"],
  ["CLUSTER_NOT_FOUND", "npx sustenet clusters"],
])("says of %s what to type", async (code, command) => {
  const origin = await startMaster((_, response) => {
    response.writeHead(400).end(`{"code":"${code}","detail":"No.","requestId":"r"}`);
  });
  await expect(new AdminApi(origin, "token").call("GET", "/clusters")).rejects.toThrow(command);
});

it("says how to look at a world in place of the call that shows it", async () => {
  const origin = await startMaster((_, response) => {
    response
      .writeHead(404)
      .end('{"code":"FRAGMENT_NOT_FOUND","detail":"No. GET /v1/admin/worlds/my-world shows it.","requestId":"r"}');
  });
  await expect(new AdminApi(origin, "token").call("GET", "/worlds/x")).rejects.toThrow(
    "npx sustenet world my-world shows it.",
  );
});

it("says the command in place of the call that a master advises, once", async () => {
  const origin = await startMaster((_, response) => {
    response
      .writeHead(404)
      .end('{"code":"CLUSTER_NOT_FOUND","detail":"None. GET /v1/admin/clusters lists them.","requestId":"r"}');
  });
  await expect(new AdminApi(origin, "token").call("GET", "/clusters/x")).rejects.toThrow(
    /^CLUSTER_NOT_FOUND: None\. npx sustenet clusters lists them\. \(request r\)$/,
  );
});
