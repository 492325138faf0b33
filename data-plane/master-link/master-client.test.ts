import { createServer, type Server } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MasterClient } from "./master-client.ts";

let server: Server;
let answer: { readonly status: number; readonly body: unknown };
beforeEach(async () => {
  server = createServer((_request, response) => {
    response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => void server.close());

function portOf(address: ReturnType<Server["address"]>): number {
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

/** What a question to a player's session comes to. */
async function asked(port = portOf(server.address())): Promise<unknown> {
  const session = { clusterId: "a", sessionToken: "t" };
  return new MasterClient(`http://127.0.0.1:${port}`)
    .sessions(session, [{ playerId: "p", message: { type: "enter", generation: 1 } }])
    .catch((error: unknown) => error);
}

describe("a call to players' sessions", () => {
  it.each([
    [400, "refused"],
    [413, "refused"],
    [422, "refused"],
    [401, "answered"],
    [404, "answered"],
    [429, "answered"],
    [503, "answered"],
  ])("that is answered %i is %s", async (status, fault) => {
    answer = { status, body: { code: "INVALID_FIELD" } };
    expect(await asked()).toMatchObject({ name: "SessionCallError", fault, code: "INVALID_FIELD" });
  });

  it("that is not answered, or not as expected, says that nobody is there", async () => {
    answer = { status: 200, body: { answers: [] } };
    expect(await asked()).toMatchObject({ fault: "away" });
    const port = portOf(server.address());
    await new Promise((resolve) => server.close(resolve));
    expect(await asked(port)).toMatchObject({ fault: "away" });
  });

  it("gives what was answered", async () => {
    const messages = [{ type: "entered", playerId: "p", generation: 1, previousGeneration: 0 }];
    answer = { status: 200, body: { answers: [{ playerId: "p", messages }] } };
    expect(await asked()).toEqual([{ playerId: "p", messages }]);
  });
});

describe("the map of a world", () => {
  it("[WORLD-9] is read also of the largest world that there can be", async () => {
    const tls = { serverName: "c".repeat(253), caPem: "\v".repeat(8_192), sha256: "0".repeat(64) };
    const peer = { host: "h".repeat(253), port: 65_535, tls };
    const idOf = (number: number): string => `${"r".repeat(32)}.${String(number).padStart(22, "0")}`;
    const clusters = Array.from({ length: 1_024 }, (_, index) => ({ clusterId: idOf(index), boot: 1, peer }));
    const corner = [-Number.MAX_VALUE, -Number.MAX_VALUE, -Number.MAX_VALUE] as const;
    const fragments = Array.from({ length: 16_384 }, (_, index) => ({
      name: String(index).padStart(64, "f"),
      min: corner,
      max: corner,
      clusterId: idOf(index % 1_024),
    }));
    answer = { status: 200, body: { world: "w", version: 1, fragments, clusters } };
    const client = new MasterClient(`http://127.0.0.1:${portOf(server.address())}`);
    const map = await client.world({ clusterId: "a", sessionToken: "t" });
    expect([map.clusters.length, map.fragments.length]).toEqual([1_024, 16_384]);
  });
});
