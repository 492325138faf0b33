import { afterEach, describe, expect, it } from "vitest";
import { encodeMove, encodePing } from "../../protocol/index.ts";
import type { Placement, Player } from "../plugin/player.ts";
import type { TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

let sequence = 0;
function move(client: TestClient, x: number, y = 0, z = 0, heading = 0): number {
  sequence = (sequence + 1) % 65_536;
  client.send(encodeMove({ sequence, x, y, z, heading }));
  return sequence;
}

/** Waits until the cluster has handled what was sent before. */
async function handled(client: TestClient): Promise<void> {
  client.send(encodePing({ timeMs: 0 }));
  await client.next("pong");
}

describe("MOVE", () => {
  it("[MOVE-1] puts the player where it asks to be, and is not answered", async () => {
    const players: Player[] = [];
    cluster = await startTestCluster({ plugin: { onJoin: (player) => void players.push(player) } });
    const client = await cluster.joined();
    move(client, 1.5, -2, 3e38, 65_535);
    await handled(client);
    expect(client.received).toEqual([]);
    expect(players[0]?.position).toEqual({ x: 1.5, y: -2, z: Math.fround(3e38), heading: 65_535 });
  });

  it("[MOVE-1] [MOVE-2] is refused over the speed limit, with the position that holds", async () => {
    cluster = await startTestCluster({ settings: { maxSpeed: 10, spawn: { x: 100, y: 0, z: 0 } } });
    const client = await cluster.joined();
    move(client, 101, 2, 0, 7);
    const refused = move(client, 1_000_000);
    expect(await client.next("position")).toEqual({
      type: "position",
      sequence: refused,
      x: 101,
      y: 2,
      z: 0,
      heading: 7,
    });
    move(client, 101.5, 2);
    await handled(client);
    expect(client.received).toEqual([]);
    expect(cluster.server.metrics.movesRefused).toBe(1);
  });

  it("[SEC-81] is noted once of who was put back 50 times, not of who was 49 times", async () => {
    const players: Player[] = [];
    cluster = await startTestCluster({
      settings: { maxSpeed: 10 },
      plugin: { onJoin: (player) => void players.push(player) },
    });
    const noted = (): unknown[] => cluster.log.lines.filter(({ fields }) => fields["event"] === "move-offender");
    const [cheat, unlucky] = [await cluster.joined(), await cluster.joined()];
    for (let count = 0; count < 49; count += 1) for (const client of [cheat, unlucky]) move(client, 1_000_000);
    for (const client of [cheat, unlucky]) await handled(client);
    expect([noted(), cluster.server.metrics.moveOffenders]).toEqual([[], 0]);
    for (let count = 0; count < 60; count += 1) move(cheat, 1_000_000);
    await handled(cheat);
    expect([noted().length, cluster.server.metrics.moveOffenders]).toEqual([1, 1]);
    expect(players.map((player) => player.refusedMoves)).toEqual([109, 49]);
  });

  it("[MOVE-1] [MOVE-2] is refused when the plugin says so, or fails", async () => {
    const asked: [Placement, Placement][] = [];
    cluster = await startTestCluster({
      plugin: {
        onMove: (_player, from, to) => {
          asked.push([from, to]);
          if (to.x === 13) throw new Error("superstition");
          return to.x < 10;
        },
      },
    });
    const client = await cluster.joined();
    move(client, 5);
    const tooFar = move(client, 11);
    expect(await client.next("position")).toMatchObject({ sequence: tooFar, x: 5 });
    const unlucky = move(client, 13);
    expect(await client.next("position")).toMatchObject({ sequence: unlucky, x: 5 });
    move(client, 9);
    await handled(client);
    expect(asked.map(([from, to]) => [from.x, to.x])).toEqual([
      [0, 5],
      [5, 11],
      [5, 13],
      [5, 9],
    ]);
    expect(cluster.server.metrics.pluginErrors).toEqual({ onMove: 1 });
  });

  it("[MOVE-1] [MOVE-2] costs nothing of what the speed limit allows where it is refused", async () => {
    cluster = await startTestCluster({
      settings: { maxSpeed: 10 },
      plugin: { onMove: (_player, _from, to) => to.z === 0 },
    });
    const client = await cluster.joined();
    // Half a second's worth each, far sooner than that is earned again.
    for (let count = 0; count < 20; count++) move(client, 0, 0, 5);
    for (let count = 0; count < 20; count++) expect(await client.next("position")).toMatchObject({ x: 0, z: 0 });
    move(client, 5);
    await handled(client);
    expect(client.received).toEqual([]);
    move(client, 1_000);
    expect(await client.next("position")).toMatchObject({ x: 5 });
  });

  it.each([true, false])(
    "[MOVE-3] ends where the plugin has put the player meanwhile, whatever it answers (%s)",
    async (answer) => {
      const players: Player[] = [];
      const exit = { x: 50, y: 0, z: 0, heading: 9 };
      cluster = await startTestCluster({
        settings: { maxSpeed: 10 },
        plugin: {
          onJoin: (player) => void players.push(player),
          onMove: (player, _from, to) => {
            if (to.x !== 1) return true;
            void player.teleport(exit);
            return answer;
          },
        },
      });
      const client = await cluster.joined();
      move(client, 1);
      expect(await client.next("position")).toMatchObject(exit);
      move(client, 51);
      await handled(client);
      expect(client.received).toEqual([]);
      expect(players[0]?.position).toMatchObject({ x: 51 });
      expect(cluster.server.metrics.movesRefused).toBe(0);
    },
  );
});
