import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { seatOf, startCluster, type TestCluster } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn } from "./support/players.ts";
import { writeRecordsNow } from "./support/records.ts";
import { readStoreSettings } from "../../control-plane/settings.ts";
import { eventuallySome } from "../support/eventually.ts";

interface Seat {
  readonly reservationId: string;
  readonly playerId: string;
  readonly clusterId: string;
  readonly outcome: string;
  readonly joinedAtMs: number | null;
}

let operator: PlayerSessionTokens;
let cluster: TestCluster;
let players: PlayerSessionTokens[];

async function ask(path: string): Promise<Response> {
  return call("GET", `/v1/admin${path}`, { token: operator.accessToken });
}

/** Every item of a list, in pages of two. */
async function all<T>(path: string, name: string): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const page: Record<string, T[]> & { next: string | null } = await expectJson(
      await ask(`${path}limit=2${query}`),
      200,
    );
    expect(page[name]?.length).toBeLessThanOrEqual(2);
    items.push(...(page[name] ?? []));
    cursor = page.next;
  }
  return items;
}

beforeAll(async () => {
  operator = await logInOperator();
  cluster = await startCluster({ capacity: 9, instance: "recorded" });
  players = await Promise.all(Array.from({ length: 5 }, () => logIn()));
  for (const player of players) await allocate(player, { clusterId: cluster.id });
  const [first] = players;
  if (first === undefined) throw new Error("there are five players");
  const { ticket } = await allocate(first, { clusterId: cluster.id });
  await cluster.report({ full: true, players: 1, joined: [seatOf(first.player, ticket)] });
  await eventuallySome(async () => {
    await writeRecordsNow();
    const seats = await all<Seat>(`/players/${first.player.id}/allocations?`, "allocations");
    return seats.some(({ outcome }) => outcome === "joined");
  });
});

afterEach(() => void vi.restoreAllMocks());

describe("what is on record", () => {
  it("of a cluster is who was given seats there, page by page", async () => {
    const seats = await all<Seat>(`/clusters/${cluster.id}/allocations?`, "allocations");
    expect(seats).toHaveLength(6);
    expect(new Set(seats.map(({ reservationId }) => reservationId)).size).toBe(6);
    expect(new Set(seats.map(({ playerId }) => playerId))).toEqual(new Set(players.map(({ player }) => player.id)));
  });

  it("of a player is where it was, and of a stranger nothing", async () => {
    const seats = await all<Seat>(`/players/${players[0]?.player.id}/allocations?`, "allocations");
    expect(seats.map(({ clusterId }) => clusterId)).toEqual([cluster.id, cluster.id]);
    expect(seats[0]).toMatchObject({ outcome: "joined", joinedAtMs: expect.any(Number) });
    expect(await all(`/players/${crypto.randomUUID()}/allocations?`, "allocations")).toEqual([]);
  });

  it("of clusters is what became of them, of one or of all", async () => {
    await startCluster(cluster.details, cluster.key);
    await expect
      .poll(async () => {
        await writeRecordsNow();
        return all<{ event: string; clusterId: string }>(`/cluster-events?clusterId=${cluster.id}&`, "events");
      })
      .toMatchObject([
        { event: "registered", clusterId: cluster.id },
        { event: "registered", clusterId: cluster.id },
      ]);
    expect((await all("/cluster-events?", "events")).length).toBeGreaterThanOrEqual(2);
  });

  it("[SEC-48] is not paged with the cursor of another list", async () => {
    const page: { next: string } = await expectJson(await ask(`/clusters/${cluster.id}/allocations?limit=1`), 200);
    await expectProblem(await ask(`/cluster-events?cursor=${page.next}`), "INVALID_FIELD");
    await expectProblem(
      await ask(`/players/${players[0]?.player.id}/allocations?cursor=${page.next}`),
      "INVALID_FIELD",
    );
  });

  it("[SEC-45] is for operators", async () => {
    const path = `/v1/admin/clusters/${cluster.id}/allocations`;
    await expectProblem(await call("GET", path, { token: players[0]?.accessToken }), "FORBIDDEN");
  });

  it("cannot be read while the database is away, and says so", async () => {
    const [real, { url }] = [globalThis.fetch, readStoreSettings(env)];
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const address = input instanceof Request ? input.url : String(input);
      return address.includes(url) ? Promise.reject(new TypeError("cut off by the test")) : real(input, init);
    });
    await expectProblem(await ask("/cluster-events"), "DATABASE_UNAVAILABLE");
  });
});
