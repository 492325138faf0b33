import { env } from "cloudflare:workers";
import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { RegistryTables } from "../../control-plane/objects/shard/registry-tables.ts";
import { PlayerSession, RegistryShard } from "../../control-plane/worker.ts";
import type { Allocation } from "../../protocol/index.ts";
import { seatOf, startCluster, type TestCluster } from "./support/clusters.ts";
import { expectJson, expectProblem } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { eventually } from "../support/eventually.ts";

/*
 * What a crash between two steps of a flow does is in crashes.test.ts. Here: interruptions without a crash, answers that are lost,
 * and what is not a step.
 */

afterEach(() => {
  vi.restoreAllMocks();
});

const crash = () => {
  throw new Error("stopped by the test");
};

async function seatsOf(cluster: TestCluster): Promise<{ seats: number; rows: number }> {
  return runInDurableObject(env.REGISTRY_SHARD.getByName("default.0"), (_: RegistryShard, { storage }) => {
    const { seats } = storage.sql
      .exec<{ seats: number }>("SELECT seats FROM clusters WHERE cluster_id = ?", cluster.id)
      .one();
    const { rows } = storage.sql
      .exec<{ rows: number }>("SELECT count(*) AS rows FROM seats WHERE cluster_id = ?", cluster.id)
      .one();
    return { seats, rows };
  });
}

describe("an interrupted allocation", () => {
  it.each([
    [
      "its seat's answer",
      () =>
        vi.spyOn(RegistryShard.prototype, "reserve").mockImplementationOnce(async function lost(
          this: RegistryShard,
          request,
        ) {
          // Mocked once: this is the real one.
          await this.reserve(request);
          return crash();
        }),
    ],
    [
      "its own answer",
      () =>
        vi.spyOn(PlayerSession.prototype, "allocate").mockImplementationOnce(async function lost(
          this: PlayerSession,
          order,
        ) {
          await this.allocate(order);
          return crash();
        }),
    ],
  ])("that lost %s is answered by a retry, and has one seat", async (_, arrange) => {
    const cluster = await startCluster({ capacity: 1 });
    const player = await logIn();
    const key = crypto.randomUUID();
    arrange();
    await expectProblem(await requestAllocation(player, { clusterId: cluster.id }, key), "INTERNAL");
    const first = await allocate(player, { clusterId: cluster.id }, key);
    expect(await allocate(player, { clusterId: cluster.id }, key)).toEqual(first);
    expect(await seatsOf(cluster)).toEqual({ seats: 1, rows: 1 });
  });

  it("whose seat could not be counted leaves none, and has one when it is repeated", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const player = await logIn();
    const key = crypto.randomUUID();
    vi.spyOn(RegistryTables.prototype, "addSeats").mockImplementationOnce(crash);
    await expectProblem(await requestAllocation(player, { clusterId: cluster.id }, key), "INTERNAL");
    expect(await seatsOf(cluster)).toEqual({ seats: 0, rows: 0 });
    await allocate(player, { clusterId: cluster.id }, key);
    expect(await seatsOf(cluster)).toEqual({ seats: 1, rows: 1 });
  });

  it("that is given up for another one leaves no seat behind", async () => {
    const [first, second] = [await startCluster({ capacity: 1 }), await startCluster({ capacity: 1 })];
    const player = await logIn();
    const key = crypto.randomUUID();
    vi.spyOn(crypto.subtle, "sign").mockImplementationOnce(() => Promise.reject(new Error("stopped")));
    await expectProblem(await requestAllocation(player, { clusterId: first.id }, key), "INTERNAL");
    expect(await seatsOf(first)).toEqual({ seats: 1, rows: 1 });
    await allocate(player, { clusterId: second.id });
    await eventually(async () => expect(await seatsOf(first)).toEqual({ seats: 0, rows: 0 }));
    await expectProblem(await requestAllocation(player, { clusterId: first.id }, key), "RESERVATION_CANCELLED");
  });

  it("that was refused stands for its request ever after, and is the same when there is room", async () => {
    const [full, spare] = [await startCluster({ capacity: 1 }), await startCluster()];
    const [player, other] = [await logIn(), await logIn()];
    await allocate(player, { clusterId: spare.id });
    const taken = await allocate(other, { clusterId: full.id });
    const key = crypto.randomUUID();
    await expectProblem(await requestAllocation(player, { clusterId: full.id }, key), "CLUSTER_FULL");
    await abortAllDurableObjects();
    await expectProblem(await requestAllocation(player, { clusterId: spare.id }, key), "IDEMPOTENCY_KEY_REUSED");
    const seat = seatOf(other.player, taken.ticket);
    await full.report({ full: true, players: 1, joined: [seat] });
    await full.report({ players: 0, left: [seat] });
    await allocate(player, { clusterId: full.id }, key);
  });

  it("does not let two calls through when the first one hangs", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const player = await logIn();
    const key = crypto.randomUUID();
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    vi.spyOn(crypto.subtle, "sign").mockImplementationOnce(async (...args) => {
      await held;
      return crypto.subtle.sign(...args);
    });
    const slow = requestAllocation(player, { clusterId: cluster.id }, key);
    await eventually(async () => expect(await seatsOf(cluster)).toEqual({ seats: 1, rows: 1 }));
    const again = await requestAllocation(player, { clusterId: cluster.id }, key);
    await expectProblem(again, "ALLOCATION_IN_PROGRESS");
    const other = await requestAllocation(player, { clusterId: cluster.id });
    await expectProblem(other, "ALLOCATION_IN_PROGRESS");
    letGo();
    const answer = await expectJson<Allocation>(await slow, 200);
    expect(await allocate(player, { clusterId: cluster.id }, key)).toEqual(answer);
  });
});

describe("the use of a ticket", () => {
  it("reaches the player's session even if that could not be told at first", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    const key = crypto.randomUUID();
    const { ticket } = await allocate(player, { clusterId: cluster.id }, key);
    vi.spyOn(PlayerSession.prototype, "ticketUsed").mockImplementationOnce(crash);
    await cluster.report({ full: true, players: 1, joined: [seatOf(player.player, ticket)] });
    await abortAllDurableObjects();
    await eventually(async () => {
      await expectProblem(await requestAllocation(player, { clusterId: cluster.id }, key), "TICKET_CONSUMED");
    });
  });
});

describe("without memory", () => {
  it("the signing keys stay the same", async () => {
    const cluster = await startCluster();
    await abortAllDurableObjects();
    const again = await startCluster({}, cluster.key);
    expect(again.registered.jwks).toEqual(cluster.registered.jwks);
  });

  it("the epochs of a cluster go on rising", async () => {
    const cluster = await startCluster();
    await abortAllDurableObjects();
    const again = await startCluster({}, cluster.key);
    expect(again.registered.boot).toBeGreaterThan(cluster.registered.boot);
    await expectProblem(await cluster.requestLink(), "CLUSTER_FENCED");
  });
});
