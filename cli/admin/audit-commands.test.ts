import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createAuditCommand } from "./audit-commands.ts";

/** As many as the master gives at once. */
const largestPage = 500;
const held = 1_200;
let asked: string[] = [];

/** A log of rows 1,200 down to 1; a cursor is the row after which it goes on. */
const server = createServer((request, response) => {
  const { search, searchParams } = new URL(request.url ?? "", "http://master");
  asked.push(search);
  const limit = Number(searchParams.get("limit"));
  if (limit > largestPage) {
    response.writeHead(400, { "content-type": "application/problem+json" });
    response.end(JSON.stringify({ code: "INVALID_FIELD", detail: "limit: expected at most 500", status: 400 }));
    return;
  }
  const newest = Number(searchParams.get("cursor") ?? held + 1) - 1;
  const rows = Array.from({ length: Math.min(limit, newest) }, (_, index) => ({ sequence: newest - index }));
  const last = newest - rows.length;
  response.end(JSON.stringify({ rows, next: last > 0 ? String(last + 1) : null }));
});

beforeEach(async () => {
  asked = [];
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens at a port");
  vi.stubEnv("SUSTENET_MASTER", `http://127.0.0.1:${address.port}`);
  vi.stubEnv("SUSTENET_TOKEN", "a.b.c");
});

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  server.closeAllConnections();
  server.close();
});

/** What the command prints as JSON. */
async function shown(...args: readonly string[]): Promise<unknown> {
  const printed = vi.spyOn(console, "log").mockReturnValue();
  const command = createAuditCommand(() => {
    throw new Error("the database is not asked");
  });
  await command.run([...args, "--json"]);
  return JSON.parse(printed.mock.calls.flat().join("\n"));
}

it.each([
  [[], 50],
  [["--limit", "500"], 500],
  [["--limit", "700"], 700],
  [["--limit", "9999"], held],
])("audit %j shows the newest %i rows, from as many pages as it takes", async (args, count) => {
  expect(await shown(...args, "--actor", "ops")).toEqual(
    Array.from({ length: count }, (_, index) => ({ sequence: held - index })),
  );
  expect(asked.every((search) => search.includes("actor=ops"))).toBe(true);
});
