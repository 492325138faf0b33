import { env } from "cloudflare:workers";
import { evictAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import type { RegistryShard } from "../../control-plane/worker.ts";
import type { PlayerSessionTokens, SeatRef } from "../../protocol/index.ts";
import { seatOf, startCluster, type TestCluster } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { eventually } from "../support/eventually.ts";

const shards = ["default.0", "eu.0", "eu.1"];

beforeEach(async () => {
  for (const name of shards) {
    await runInDurableObject(env.REGISTRY_SHARD.getByName(name), (_: RegistryShard, { storage }) => {
      storage.sql.exec("UPDATE clusters SET state = 'gone'");
    });
  }
});

/** A player who is in the game at the cluster, as its report says. */
async function join(cluster: TestCluster, player: PlayerSessionTokens, players = 1): Promise<SeatRef> {
  const key = crypto.randomUUID();
  const { ticket } = await allocate(player, { clusterId: cluster.id }, key);
  const seat = seatOf(player.player, ticket);
  await cluster.report({ players, joined: [seat] });
  await eventually(async () =>
    expectProblem(await requestAllocation(player, { clusterId: cluster.id }, key), "TICKET_CONSUMED"),
  );
  return seat;
}

async function stateOf({ id }: TestCluster): Promise<string> {
  return runInDurableObject(
    env.REGISTRY_SHARD.getByName("default.0"),
    (_: RegistryShard, { storage }) =>
      storage.sql.exec<{ state: string }>("SELECT state FROM clusters WHERE cluster_id = ?", id).one().state,
  );
}

describe("[ALLOC-14] a player who lost connection and token, and asks for no cluster", () => {
  it("comes back to the cluster that keeps the session, though it is full and others are empty", async () => {
    const home = await startCluster({ capacity: 1, region: "eu" });
    await Promise.all([startCluster({ region: "eu" }), startCluster({ region: "eu" }), startCluster()]);
    const player = await logIn();
    const seat = await join(home, player);
    await evictAllDurableObjects();
    const back = await allocate(player, {});
    expect(back.cluster.id).toBe(home.id);
    const again = seatOf(player.player, back.ticket);
    expect(again.generation).toBeGreaterThan(seat.generation);
    await expectProblem(await requestAllocation(await logIn(), { clusterId: home.id }), "CLUSTER_FULL");
    // The newer connection takes the older one's place, and the seat is still one.
    await home.report({ players: 1, joined: [again], left: [seat] });
    await expectProblem(await requestAllocation(await logIn(), { clusterId: home.id }), "CLUSTER_FULL");
  });

  it("comes back though an operator has locked it, but not while it drains", async () => {
    const home = await startCluster();
    const other = await startCluster();
    const player = await logIn();
    await join(home, player);
    const { accessToken: token } = await logInOperator();
    const order = async (what: "lock" | "drain") =>
      expectJson(
        await call("PUT", `/v1/admin/clusters/${home.id}/${what}`, {
          token,
          body: what === "lock" ? {} : { deadlineSeconds: 60 },
        }),
        200,
      );
    await order("lock");
    expect((await allocate(player, {})).cluster.id).toBe(home.id);
    await order("drain");
    expect((await allocate(player, {})).cluster.id).toBe(other.id);
  });

  it("is as free as anybody once the cluster has let go", async () => {
    const home = await startCluster({ capacity: 1 });
    const other = await startCluster();
    const player = await logIn();
    const seat = await join(home, player);
    await home.report({ players: 0, left: [seat] });
    await allocate(await logIn(), { clusterId: home.id });
    expect((await allocate(player, {})).cluster.id).toBe(other.id);
  });

  it.each(["another cluster", "another region", "tags that it lacks", "to avoid it"])(
    "goes elsewhere when asking for %s",
    async (what) => {
      const home = await startCluster();
      const other = await startCluster({ region: "eu", tags: ["other"] });
      const player = await logIn();
      await join(home, player);
      const wish = {
        "another cluster": { clusterId: other.id },
        "another region": { region: "eu" },
        "tags that it lacks": { selector: { tags: ["other"] } },
        "to avoid it": { avoid: [home.id] },
      }[what];
      expect((await allocate(player, wish ?? {})).cluster.id).toBe(other.id);
      await expect(home.report({ players: 1 })).resolves.toHaveLength(1);
    },
  );

  it("gets the same ticket for the same key, before and after the cluster has let go", async () => {
    const home = await startCluster();
    await startCluster({ region: "eu" });
    const player = await logIn();
    const seat = await join(home, player);
    const key = crypto.randomUUID();
    const back = await allocate(player, {}, key);
    await home.report({ players: 0, left: [seat] });
    expect(await allocate(player, {}, key)).toEqual(back);
  });
});

describe("[ALLOC-21] a session that comes back by itself", () => {
  it("ends no newer one of its player, who has gone on elsewhere, until that is over", async () => {
    const [home, other] = [await startCluster(), await startCluster({ region: "eu" })];
    const player = await logIn();
    const first = await join(home, player);
    const second = await join(other, player);
    await evictAllDurableObjects();
    for (const wish of [{}, { clusterId: home.id }, { clusterId: other.id }]) {
      const answer = await requestAllocation(player, { ...wish, after: first.generation });
      expect(await expectProblem(answer, "REPLACED")).toMatchObject({ status: 403 });
    }
    // The newer one itself, and who asks to join, are not kept out.
    await allocate(player, { after: second.generation });
    await allocate(player, {});
    await other.report({ players: 0, left: [second] });
    const back = await allocate(player, { after: first.generation });
    expect(back.generation).toBeGreaterThan(second.generation);
  });

  it("is let in where the link of the newer one's cluster has broken: that one may be gone", async () => {
    const [home, other] = [await startCluster(), await startCluster()];
    const player = await logIn();
    const first = await join(home, player);
    await join(other, player);
    const wish = { clusterId: home.id, after: first.generation };
    const link = await other.openLink();
    link.send(other.nextReport({ players: 1 }));
    await link.nextCommand();
    await expectProblem(await requestAllocation(player, wish), "REPLACED");
    link.break();
    await eventually(async () => expect(await stateOf(other)).toBe("suspect"));
    await allocate(player, wish);
  });

  it("is not let in where an operator has ended it, and whoever asks to join is", async () => {
    const home = await startCluster();
    const player = await logIn();
    const first = await join(home, player);
    await call("POST", `/v1/admin/players/${player.player.id}/kick`, {
      token: (await logInOperator()).accessToken,
    });
    await expectProblem(await requestAllocation(player, { after: first.generation }), "KICKED");
    await allocate(player, {});
  });

  it("is told by its ticket's answer what to name, and cannot name a party's", async () => {
    const home = await startCluster();
    const player = await logIn();
    const { ticket, generation } = await allocate(player, { clusterId: home.id });
    expect(generation).toBe(seatOf(player.player, ticket).generation);
    await expectProblem(await requestAllocation(player, { after: -1 }), "INVALID_FIELD");
  });
});

describe("[ALLOC-15] a seat that is given back", () => {
  it("is free for others as soon as the cluster says that its ticket joins no more", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const link = await cluster.openLink();
    link.send(cluster.nextReport({ full: true }));
    expect(await link.nextCommand()).toMatchObject({ type: "ack" });
    const [player, other] = [await logIn(), await logIn()];
    const allocation = await allocate(player, { clusterId: cluster.id });
    const seat = seatOf(player.player, allocation.ticket);
    const path = `/v1/allocate/${allocation.reservationId}`;
    expect((await call("DELETE", path, { token: player.accessToken })).status).toBe(204);
    const cancel = await link.nextCommand();
    expect(cancel).toMatchObject({ type: "cancel", ...seat });
    await expectProblem(await requestAllocation(other, { clusterId: cluster.id }), "CLUSTER_FULL");
    // It is told again until it answers.
    link.send(cluster.nextReport());
    expect(await link.nextCommand()).toMatchObject({ type: "ack" });
    expect(await link.nextCommand()).toEqual(cancel);
    link.send(cluster.nextReport({ cancelled: [seat] }));
    expect(await link.nextCommand()).toMatchObject({ type: "ack" });
    await allocate(other, { clusterId: cluster.id });
  });

  it("stays taken when the ticket has joined after all", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const [player, other] = [await logIn(), await logIn()];
    const allocation = await allocate(player, { clusterId: cluster.id });
    const seat = seatOf(player.player, allocation.ticket);
    await call("DELETE", `/v1/allocate/${allocation.reservationId}`, { token: player.accessToken });
    await cluster.report({ players: 1, joined: [seat], cancelled: [seat] });
    await expectProblem(await requestAllocation(other, { clusterId: cluster.id }), "CLUSTER_FULL");
  });

  it("is the player's own again with another allocation, whatever the cluster says of the old ticket", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const [player, other] = [await logIn(), await logIn()];
    const first = await allocate(player, { clusterId: cluster.id });
    const seat = seatOf(player.player, first.ticket);
    await call("DELETE", `/v1/allocate/${first.reservationId}`, { token: player.accessToken });
    await allocate(player, { clusterId: cluster.id });
    await cluster.report({ cancelled: [seat] });
    await expectProblem(await requestAllocation(other, { clusterId: cluster.id }), "CLUSTER_FULL");
  });

  it("by a newer allocation elsewhere is freed the same way", async () => {
    const [cluster, elsewhere] = [await startCluster({ capacity: 1 }), await startCluster({ region: "eu" })];
    const [player, other] = [await logIn(), await logIn()];
    const first = await allocate(player, { clusterId: cluster.id });
    const seat = seatOf(player.player, first.ticket);
    await allocate(player, { clusterId: elsewhere.id });
    await eventually(async () =>
      expect(await cluster.report()).toContainEqual(expect.objectContaining({ type: "cancel", ...seat })),
    );
    await cluster.report({ cancelled: [seat] });
    await allocate(other, { clusterId: cluster.id });
  });
});
