import { afterEach, describe, expect, it } from "vitest";
import { closeCodes, encodeHello, encodeJoin, encodeResume, features } from "../../protocol/index.ts";
import type { TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

function revoke(playerId: string, minGeneration: number, versions: { since?: number; version?: number } = {}): object {
  const { since = 0, version = 1 } = versions;
  return { type: "revoke", since, version, players: [{ playerId, minGeneration, reason: "banned" }] };
}

async function rejection(claims: object): Promise<number> {
  const client = await cluster.connected();
  client.join(await cluster.master.ticket(claims));
  return (await client.next("reject")).code;
}

async function joinResumable(claims: object): Promise<{ client: TestClient; token: Uint8Array }> {
  const client = await cluster.connected();
  const offered = features.resume | features.state;
  client.send(
    encodeHello({ minVersion: 1, maxVersion: 1, features: offered, client: "test" }),
    encodeJoin({ ticket: await cluster.master.ticket(claims) }),
  );
  await client.next("welcome");
  return { client, token: (await client.next("resumeToken")).token };
}

describe("a cluster that is told of revoked players", () => {
  it("[CLOSE-4] [TICKET-20] closes them, keeps their tickets out, and lets everybody else and newer tickets in", async () => {
    cluster = await startTestCluster();
    const [hero, other] = [
      await cluster.joined({ sub: "hero", gen: 4 }),
      await cluster.joined({ sub: "other", gen: 4 }),
    ];
    await cluster.master.linked();
    cluster.master.command(revoke("hero", 6));
    expect((await hero.next("close")).code).toBe(closeCodes.BANNED.number);
    expect(await rejection({ sub: "hero", gen: 5 })).toBe(closeCodes.REVOKED.number);
    await cluster.joined({ sub: "hero", gen: 6 });
    expect(other.closed).toBe(false);
  });

  it("[TICKET-20] goes on refusing while the master is away", async () => {
    cluster = await startTestCluster();
    await cluster.master.linked();
    const ticket = await cluster.master.ticket({ sub: "hero", gen: 5 });
    cluster.master.command(revoke("hero", 6));
    await until("it to be held", () => cluster.master.reports.at(-1)?.revocations === 1);
    await cluster.master.stop();
    const client = await cluster.connected();
    client.join(ticket);
    expect((await client.next("reject")).code).toBe(closeCodes.REVOKED.number);
    await cluster.master.listen();
  });

  it("[CLOSE-4] leaves nothing to come back to for one that is away", async () => {
    cluster = await startTestCluster();
    const { client, token } = await joinResumable({ sub: "hero", gen: 4 });
    await cluster.master.linked();
    client.close();
    await until("the drop", () => cluster.server.metrics.drops === 1);
    cluster.master.command(revoke("hero", 6));
    await until("the player to be out", () => cluster.server.metrics.departures["BANNED"] === 1);
    const again = await cluster.connected();
    again.send(
      encodeHello({ minVersion: 1, maxVersion: 1, features: features.resume | features.state, client: "test" }),
      encodeResume({ received: 0, token }),
    );
    expect((await again.next("reject")).code).toBe(closeCodes.RESUME_UNKNOWN.number);
  });

  it("[TICKET-20] turns one away that is revoked while the game is asked about it", async () => {
    const { promise: verdict, resolve: decide } = Promise.withResolvers<void>();
    let asked = false;
    cluster = await startTestCluster({
      plugin: {
        onAuth: async () => {
          asked = true;
          await verdict;
        },
      },
    });
    await cluster.master.linked();
    const client = await cluster.connected();
    client.join(await cluster.master.ticket({ sub: "hero", gen: 5 }));
    await until("the game to be asked", () => asked);
    cluster.master.command(revoke("hero", 6));
    await until("it to be held", () => cluster.master.reports.at(-1)?.revocations === 1);
    decide();
    expect((await client.next("reject")).code).toBe(closeCodes.REVOKED.number);
  });

  it("does nothing new when an old order is replayed", async () => {
    cluster = await startTestCluster();
    await cluster.master.linked();
    cluster.master.command(revoke("hero", 6));
    const back = await cluster.joined({ sub: "hero", gen: 6 });
    cluster.master.command(revoke("hero", 6));
    cluster.master.command(revoke("hero", 2, { since: 0, version: 0 }));
    await until(
      "reports after it",
      () => cluster.master.reports.filter(({ revocations }) => revocations === 1).length > 2,
    );
    expect(back.closed).toBe(false);
  });

  it("says how far it holds them, and does not say so past a gap", async () => {
    cluster = await startTestCluster();
    await cluster.master.linked();
    await until("a report", () => cluster.master.reports.length > 0);
    expect(cluster.master.reports.at(-1)?.revocations).toBeUndefined();
    cluster.master.command(revoke("hero", 6, { since: 4, version: 5 }));
    await until("an answer", () => cluster.master.reports.at(-1)?.revocations === 0);
    expect(await rejection({ sub: "hero", gen: 5 })).toBe(closeCodes.REVOKED.number);
    cluster.master.command(revoke("hero", 6, { since: 0, version: 5 }));
    await until("an answer", () => cluster.master.reports.at(-1)?.revocations === 5);
  });
});

describe("a cluster that is told of other keys", () => {
  it("[SEC-70] refuses the tickets of a revoked one at once, even while the set that comes still has it", async () => {
    cluster = await startTestCluster();
    await cluster.master.linked();
    const leaked = await cluster.master.ticket();
    const next = await cluster.master.addKey("key-2");
    cluster.master.command({ type: "keys", version: 7, revoked: ["key-1"] });
    await until("it to be held", () => cluster.master.reports.at(-1)?.keys === 7);
    const client = await cluster.connected();
    client.join(leaked);
    await client.gone();
    expect(client.types()).toEqual([]);
    const good = await cluster.connected();
    good.join(await cluster.master.ticket({}, next));
    await good.next("welcome");
  });

  it("[SEC-71] knows a key before its first ticket comes, however soon after another change", async () => {
    cluster = await startTestCluster();
    await cluster.master.linked();
    for (const version of [1, 2, 3]) {
      const key = await cluster.master.addKey(`next-${version}`);
      cluster.master.command({ type: "keys", version, revoked: [] });
      await until("it to be held", () => cluster.master.reports.at(-1)?.keys === version);
      const fetches = cluster.master.keySetFetches;
      const client = await cluster.connected();
      client.join(await cluster.master.ticket({}, key));
      await client.next("welcome");
      expect(cluster.master.keySetFetches).toBe(fetches);
    }
  });
});
