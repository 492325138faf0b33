import { describe, expect, it } from "vitest";
import { nextSessionGeneration } from "../../protocol/handover/generation.ts";
import type { Allocation } from "../../protocol/index.ts";
import { seatOf, startCluster } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { allocate, logIn, logInMany, requestAllocation } from "./support/players.ts";
import { eventually } from "../support/eventually.ts";

describe("an allocation", () => {
  it("gives exactly 20 tickets to 50 players who want 20 seats at once", async () => {
    const cluster = await startCluster({ capacity: 20 });
    const players = await logInMany(50);
    const responses = await Promise.all(players.map((player) => requestAllocation(player, { clusterId: cluster.id })));
    const granted = responses.filter((response) => response.status === 200);
    expect(granted).toHaveLength(20);
    const allocations = await Promise.all(granted.map(async (response): Promise<Allocation> => response.json()));
    expect(new Set(allocations.map(({ reservationId }) => reservationId)).size).toBe(20);
    const refused = responses.filter((response) => response.status !== 200);
    for (const response of refused) await expectProblem(response, "CLUSTER_FULL");
  });

  it("of one key at once is made once: every answer is the ticket, or that it is being made", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const player = await logIn();
    const key = crypto.randomUUID();
    const ask = () => requestAllocation(player, { clusterId: cluster.id }, key);
    const responses = await Promise.all(Array.from({ length: 20 }, ask));
    const granted = responses.filter((response) => response.status === 200);
    const tickets = new Set(await Promise.all(granted.map((response) => response.text())));
    expect(tickets.size).toBe(1);
    for (const response of responses.filter(({ status }) => status !== 200)) {
      const problem = await expectProblem(response, "ALLOCATION_IN_PROGRESS");
      expect(problem.retryAfterSeconds).toBe(1);
    }
    expect(await (await ask()).text()).toBe([...tickets][0]);
  });

  it("with the key of another request is refused", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    const key = crypto.randomUUID();
    await allocate(player, { clusterId: cluster.id }, key);
    await expectProblem(await requestAllocation(player, { region: "default" }, key), "IDEMPOTENCY_KEY_REUSED");
  });

  it("with a key that another player used is that player's own", async () => {
    const cluster = await startCluster();
    const key = crypto.randomUUID();
    const [first, second] = [await logIn(), await logIn()];
    const a = await allocate(first, { clusterId: cluster.id }, key);
    const b = await allocate(second, { clusterId: cluster.id }, key);
    expect(a.reservationId).not.toBe(b.reservationId);
  });

  it.each([undefined, "short", "x".repeat(129), "spaces in it"])("needs a good key, not %j", async (key) => {
    const player = await logIn();
    const headers: Record<string, string> = key === undefined ? {} : { "idempotency-key": key };
    const response = await call("POST", "/v1/allocate", { token: player.accessToken, body: {}, headers });
    await expectProblem(response, "IDEMPOTENCY_KEY_REQUIRED");
  });

  it("picks the least loaded cluster of a region", async () => {
    const region = "pick-region";
    const [small, large] = [await startCluster({ region, capacity: 4 }), await startCluster({ region, capacity: 8 })];
    const counts = { [small.id]: 0, [large.id]: 0 };
    for (let index = 0; index < 12; index += 1) {
      const { cluster } = await allocate(await logIn(), { region });
      counts[cluster.id] = (counts[cluster.id] ?? 0) + 1;
    }
    expect(counts).toEqual({ [small.id]: 4, [large.id]: 8 });
    const full = await expectProblem(await requestAllocation(await logIn(), { region }), "NO_CLUSTER_AVAILABLE");
    expect(full.retryAfterSeconds).toBeGreaterThan(0);
  });

  it("that found no room succeeds under the same key when there is some", async () => {
    const region = "late-region";
    const [player, early] = await Promise.all([logIn(), logIn()]);
    const [key, earlyKey] = [crypto.randomUUID(), crypto.randomUUID()];
    await expectProblem(await requestAllocation(early, { region }, earlyKey), "REGION_NOT_FOUND");
    const request = { selector: { tags: ["late"] } };
    await expectProblem(await requestAllocation(player, request, key), "NO_CLUSTER_AVAILABLE");
    const cluster = await startCluster({ region, tags: ["late"] });
    await eventually(async () => {
      expect((await allocate(player, request, key)).cluster.id).toBe(cluster.id);
      expect((await allocate(early, { region }, earlyKey)).cluster.id).toBe(cluster.id);
    });
  });

  it("finds clusters on every shard of a region, and without one anywhere", async () => {
    const clusters = await Promise.all(Array.from({ length: 6 }, () => startCluster({ region: "eu", capacity: 1 })));
    const found = new Set<string>();
    for (const _ of clusters) found.add((await allocate(await logIn(), { region: "eu" })).cluster.id);
    expect(found).toEqual(new Set(clusters.map(({ id }) => id)));
    const anywhere = await allocate(await logIn(), {});
    expect(anywhere.cluster.id).toMatch(/^(default|pick-region|late-region)\./);
  });

  it.each(["default.AAAAAAAAAAAAAAAAAAAAAA", "nowhere.AAAAAAAAAAAAAAAAAAAAAA", "nonsense"])(
    "on %s finds no cluster",
    async (clusterId) => {
      await expectProblem(await requestAllocation(await logIn(), { clusterId }), "CLUSTER_NOT_FOUND");
    },
  );

  it("does not take a cluster and another region", async () => {
    const cluster = await startCluster();
    const response = await requestAllocation(await logIn(), { clusterId: cluster.id, region: "eu" });
    const problem = await expectProblem(response, "INVALID_FIELD");
    expect(problem.errors).toMatchObject([{ field: "region" }]);
  });
});

describe("a newer allocation", () => {
  it("ends the older unused one, and needs no second seat on the same cluster", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const player = await logIn();
    const oldKey = crypto.randomUUID();
    const older = await allocate(player, { clusterId: cluster.id }, oldKey);
    const newer = await allocate(player, { clusterId: cluster.id });
    expect(seatOf(player.player, newer.ticket).generation).toBe(
      nextSessionGeneration(seatOf(player.player, older.ticket).generation),
    );
    await expectProblem(await requestAllocation(player, { clusterId: cluster.id }, oldKey), "RESERVATION_CANCELLED");
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_FULL");
  });

  it("that fails leaves the older one as it is", async () => {
    const [cluster, full] = [await startCluster(), await startCluster({ capacity: 1 })];
    await allocate(await logIn(), { clusterId: full.id });
    const player = await logIn();
    const key = crypto.randomUUID();
    const first = await allocate(player, { clusterId: cluster.id }, key);
    await expectProblem(await requestAllocation(player, { clusterId: full.id }), "CLUSTER_FULL");
    expect(await allocate(player, { clusterId: cluster.id }, key)).toEqual(first);
  });
});

describe("giving a seat back", () => {
  it("ends the allocation; the player can have the seat again at once", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const player = await logIn();
    const key = crypto.randomUUID();
    const { reservationId } = await allocate(player, { clusterId: cluster.id }, key);
    const path = `/v1/allocate/${reservationId}`;
    expect((await call("DELETE", path, { token: player.accessToken })).status).toBe(204);
    expect((await call("DELETE", path, { token: player.accessToken })).status).toBe(204);
    await expectProblem(await requestAllocation(player, { clusterId: cluster.id }, key), "RESERVATION_CANCELLED");
    // Its ticket could still be shown to the cluster: nobody else gets the seat meanwhile.
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_FULL");
    await allocate(player, { clusterId: cluster.id });
  });

  it("is for one's own seats alone", async () => {
    const cluster = await startCluster();
    const { reservationId } = await allocate(await logIn(), { clusterId: cluster.id });
    const stranger = await logIn();
    const response = await call("DELETE", `/v1/allocate/${reservationId}`, { token: stranger.accessToken });
    await expectProblem(response, "NOT_FOUND");
  });

  it("is too late once the ticket has joined", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    const { reservationId, ticket } = await allocate(player, { clusterId: cluster.id });
    await cluster.report({ players: 1, joined: [seatOf(player.player, ticket)] });
    await eventually(async () => {
      const response = await call("DELETE", `/v1/allocate/${reservationId}`, { token: player.accessToken });
      await expectProblem(response, "TICKET_CONSUMED");
    });
  });
});

describe("the list", () => {
  it("shows clusters with their players, and only those of the region asked for", async () => {
    const region = "list-region";
    const cluster = await startCluster({ region, capacity: 7, tags: ["pvp"] });
    const player = await logIn();
    const { ticket } = await allocate(player, { clusterId: cluster.id });
    await cluster.report({ full: true, players: 1, joined: [seatOf(player.player, ticket)] });
    await eventually(async () => {
      const list = await expectJson(await call("GET", `/v1/clusters?region=${region}`), 200);
      expect(list).toEqual({
        clusters: [
          {
            id: cluster.id,
            name: "Test cluster",
            region,
            players: 1,
            capacity: 7,
            locked: false,
            tags: ["pvp"],
            ping: { host: "127.0.0.1", port: 6257 },
          },
        ],
      });
    });
    const all = await expectJson<{ clusters: { id: string }[] }>(await call("GET", "/v1/clusters"), 200);
    expect(all.clusters.map(({ id }) => id)).toContain(cluster.id);
  });

  it("of a region that nobody has is refused, rather than empty", async () => {
    await expectProblem(await call("GET", "/v1/clusters?region=nowhere"), "REGION_NOT_FOUND");
    const response = await requestAllocation(await logIn(), { region: "nowhere" });
    expect((await expectProblem(response, "REGION_NOT_FOUND")).detail).toContain("nowhere");
    await expectProblem(await call("GET", "/v1/clusters?region=No%20where"), "INVALID_FIELD");
    await expectProblem(await call("GET", "/v1/clusters?page=2"), "INVALID_FIELD");
  });
});
