import { env } from "cloudflare:workers";
import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import type { RegistryShard } from "../../control-plane/worker.ts";
import type { SeatRef } from "../../protocol/index.ts";
import { seatOf, startCluster, type TestCluster, type TestLink, testShards } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn, logInMany, requestAllocation } from "./support/players.ts";
import { eventually } from "../support/eventually.ts";

/** A cluster of this test, and who is in the game there by its own knowledge. */
interface Linked {
  readonly cluster: TestCluster;
  readonly inGame: SeatRef[];
  link: TestLink;
}

const clusterCount = 24;

/** How many seats a cluster's shard counts, and how many of them in the game. */
async function countsOf(token: string, { id }: TestCluster) {
  const seen: { state: string; seats: number; joined: number; players: number; linked: boolean } = await expectJson(
    await call("GET", `/v1/admin/clusters/${id}`, { token }),
    200,
  );
  return seen;
}

it("after a deploy, which drops every link, all clusters are back with a full report each, and no seat is lost or doubled", async () => {
  const { accessToken: token } = await logInOperator();
  const fleet: Linked[] = [];
  for (let index = 0; index < clusterCount; index += 1) {
    const cluster = await startCluster({ capacity: 3, region: index % 2 === 0 ? "eu" : "default" });
    fleet.push({ cluster, inGame: [], link: await cluster.openLink() });
  }
  // On each: one in the game, one who leaves and one who joins while nobody can be told.
  const players = await logInMany(clusterCount * 3);
  const playersOf = (index: number) => players.slice(index * 3, index * 3 + 3);
  const seats = await Promise.all(
    fleet.map(async ({ cluster }, index) =>
      Promise.all(
        playersOf(index).map(async (player) =>
          seatOf(player.player, (await allocate(player, { clusterId: cluster.id })).ticket),
        ),
      ),
    ),
  );
  for (const [index, { cluster, link, inGame }] of fleet.entries()) {
    const [stays, leaves] = seats[index] ?? [];
    if (stays === undefined || leaves === undefined) throw new Error("each has three");
    inGame.push(stays, leaves);
    link.send(cluster.nextReport({ full: true, players: 2, joined: inGame }));
    await link.nextCommand();
  }
  await abortAllDurableObjects();
  for (const [index, { inGame }] of fleet.entries()) {
    const [stays, , joins] = seats[index] ?? [];
    if (stays === undefined || joins === undefined) throw new Error("each has three");
    inGame.splice(0, 2, stays, joins);
  }
  // Before any is back nobody is suspected, and no seat is given away.
  for (const { cluster } of fleet.slice(0, 3)) {
    expect(await countsOf(token, cluster)).toMatchObject({ state: "ready", seats: 3, linked: false });
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_FULL");
  }
  // All at once, in any order, under the token of before; some are cut off once more and report twice.
  await Promise.all(
    fleet
      .toSorted(() => Math.random() - 0.5)
      .map(async (one, index) => {
        for (let times = index % 4 === 0 ? 2 : 1; times > 0; times -= 1) {
          one.link = await one.cluster.openLink();
          one.link.send(one.cluster.nextReport({ full: true, players: 2, joined: one.inGame }));
          expect(await one.link.nextCommand()).toMatchObject({ type: "ack" });
        }
      }),
  );
  for (const { cluster } of fleet) {
    expect(await countsOf(token, cluster)).toMatchObject({
      state: "ready",
      linked: true,
      // Who left may have a ticket that can still be shown, and so a seat, until it ends.
      joined: 2,
      players: 2,
    });
  }
  for (const name of testShards) {
    const wrong = await runInDurableObject(env.REGISTRY_SHARD.getByName(name), (_: RegistryShard, { storage }) =>
      storage.sql
        .exec(
          `SELECT cluster_id FROM clusters AS c WHERE seats > capacity
             OR seats <> (SELECT count(*) FROM seats AS s WHERE s.cluster_id = c.cluster_id)
             OR joined <> (SELECT count(joined_generation) FROM seats AS s WHERE s.cluster_id = c.cluster_id)`,
        )
        .toArray(),
    );
    expect(wrong).toEqual([]);
  }
  // The seat of who left is somebody else's, once.
  for (const { cluster } of fleet.slice(0, 4)) {
    const newcomer = await logIn();
    await eventually(async () => allocate(newcomer, { clusterId: cluster.id }));
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_FULL");
  }
  for (const { link } of fleet) link.close();
}, 60_000);
