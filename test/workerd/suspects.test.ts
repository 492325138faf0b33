import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { WorldOverview } from "../../control-plane/domain/worlds/world-overview.ts";
import { readStoreSettings } from "../../control-plane/settings.ts";
import type { RegistryShard } from "../../control-plane/worker.ts";
import type { WorldMapView } from "../../protocol/index.ts";
import { startCluster, type TestCluster, type TestLink } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { eventually } from "../support/eventually.ts";

const shard = env.REGISTRY_SHARD.getByName("default.0");

/** The whole Worker runs in this isolate: its clock can be set. Timers go on as ever. */
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  await runInDurableObject(shard, (_: RegistryShard, { storage }) => {
    storage.sql.exec("UPDATE clusters SET state = 'gone', link_lost_at = 0");
  });
});

afterEach(() => {
  vi.useRealTimers();
});

interface Linked {
  readonly cluster: TestCluster;
  readonly link: TestLink;
}

async function startLinked(count: number): Promise<Linked[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const cluster = await startCluster();
      return { cluster, link: await cluster.openLink() };
    }),
  );
}

async function stateOf({ id }: TestCluster): Promise<string> {
  return runInDurableObject(
    shard,
    (_: RegistryShard, { storage }) =>
      storage.sql.exec<{ state: string }>("SELECT state FROM clusters WHERE cluster_id = ?", id).one().state,
  );
}

async function toBe(cluster: TestCluster, state: string): Promise<void> {
  await eventually(async () => expect(await stateOf(cluster)).toBe(state));
}

function linked(all: readonly Linked[], index: number): Linked {
  const found = all[index];
  if (found === undefined) throw new Error(`${all.length} clusters were started`);
  return found;
}

/** The ids of the clusters that some players are given. */
async function given(times: number): Promise<Set<string>> {
  const players = await Promise.all(Array.from({ length: times }, () => logIn()));
  const tickets = await Promise.all(players.map((player) => allocate(player, { region: "default" })));
  return new Set(tickets.map(({ cluster }) => cluster.id));
}

function passSeconds(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1_000);
}

describe("a cluster that freezes, with its link open", () => {
  /** The alarm comes at once; again as soon as it may, should it be running. */
  async function ringAlarm(): Promise<void> {
    await runInDurableObject(shard, async (_: RegistryShard, { storage }) => storage.setAlarm(1));
  }

  it("[REC-2] is suspect when its lease has ended, though the database does not answer", async () => {
    const { cluster } = linked(await startLinked(1), 0);
    const { accessToken: token } = await logInOperator();
    const stateShown = async () => {
      const answer = await call("GET", `/v1/admin/clusters/${cluster.id}`, { token });
      return (await expectJson<{ state: string }>(answer, 200)).state;
    };
    const { promise: hanging, reject: release } = Promise.withResolvers<Response>();
    const { url } = readStoreSettings(env);
    const real = globalThis.fetch;
    let asked = 0;
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const request = new Request(input, init);
      if (!request.url.startsWith(url)) return real(request);
      if ((await request.text()).includes(cluster.id)) asked += 1;
      return hanging;
    });
    try {
      await allocate(await logIn(), { clusterId: cluster.id });
      await ringAlarm();
      await eventually(() => expect(asked).toBe(1));
      expect(await stateShown()).toBe("ready");
      passSeconds(31);
      await eventually(async () => {
        await ringAlarm();
        expect(await stateShown()).toBe("suspect");
      });
      expect(asked, "what is on its way is not begun again").toBe(1);
    } finally {
      release(new Error("the database is back"));
      vi.restoreAllMocks();
    }
    await cluster.report();
    expect(await stateShown()).toBe("ready");
  });
});

describe("a cluster whose link breaks", () => {
  it("is suspect at once, and given to nobody while there is another", async () => {
    const all = await startLinked(3);
    const { cluster, link } = linked(all, 0);
    link.break();
    await toBe(cluster, "suspect");
    const ids = await given(12);
    expect(ids).toEqual(new Set([linked(all, 1).cluster.id, linked(all, 2).cluster.id]));
  });

  it("is given for a few seconds where there is no other, and then to nobody", async () => {
    const all = await startLinked(1);
    const { cluster, link } = linked(all, 0);
    link.break();
    await toBe(cluster, "suspect");
    expect((await allocate(await logIn(), { region: "default" })).cluster.id).toBe(cluster.id);
    expect((await allocate(await logIn(), { clusterId: cluster.id })).cluster.id).toBe(cluster.id);
    passSeconds(6);
    await expectProblem(await requestAllocation(await logIn(), { region: "default" }), "NO_CLUSTER_AVAILABLE");
    const named = await requestAllocation(await logIn(), { clusterId: cluster.id });
    expect((await expectProblem(named, "NO_CLUSTER_AVAILABLE")).detail).toContain("silent");
  });

  it.each(["a new link", "a heartbeat"])("is ready again with %s", async (how) => {
    const all = await startLinked(2);
    const { cluster, link } = linked(all, 0);
    link.break();
    await toBe(cluster, "suspect");
    if (how === "a heartbeat") await cluster.report();
    else await cluster.openLink();
    expect(await stateOf(cluster)).toBe("ready");
    passSeconds(6);
    await allocate(await logIn(), { clusterId: cluster.id });
  });

  it("is not suspect when it has hung up", async () => {
    const all = await startLinked(2);
    const { cluster, link } = linked(all, 0);
    link.close();
    expect(await link.next()).toEqual({ closed: 1000 });
    expect(await stateOf(cluster)).toBe("ready");
  });

  it("is not suspect when a newer link has taken the old one's place", async () => {
    const all = await startLinked(2);
    const { cluster, link } = linked(all, 0);
    await cluster.openLink();
    link.break();
    linked(all, 1).link.break();
    await toBe(linked(all, 1).cluster, "suspect");
    expect(await stateOf(cluster)).toBe("ready");
  });

  it("together with half of the others makes the master suspect itself", async () => {
    const all = await startLinked(6);
    for (const { link } of all.slice(0, 2)) link.break();
    await toBe(linked(all, 0).cluster, "suspect");
    await toBe(linked(all, 1).cluster, "suspect");
    linked(all, 2).link.break();
    for (const { cluster } of all.slice(0, 3)) await toBe(cluster, "ready");
    passSeconds(6);
    for (const { cluster } of all) await allocate(await logIn(), { clusterId: cluster.id });
    // Two are back: what is left is no mass.
    await linked(all, 0).cluster.report();
    await toBe(linked(all, 2).cluster, "suspect");
    await toBe(linked(all, 1).cluster, "suspect");
    expect(await stateOf(linked(all, 0).cluster)).toBe("ready");
  });

  it("gets its full grace when the object was restarted a moment later", async () => {
    const all = await startLinked(2);
    const { cluster, link } = linked(all, 0);
    link.break();
    await toBe(cluster, "suspect");
    await evictDurableObject(shard, { webSockets: "close" });
    await toBe(cluster, "ready");
    passSeconds(29);
    for (const each of all) expect(await stateOf(each.cluster)).toBe("ready");
    await allocate(await logIn(), { clusterId: cluster.id });
    passSeconds(2);
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "NO_CLUSTER_AVAILABLE");
  });

  it("long before the object was restarted stays suspect", async () => {
    const all = await startLinked(2);
    const { cluster, link } = linked(all, 0);
    link.break();
    await toBe(cluster, "suspect");
    passSeconds(10);
    await evictDurableObject(shard, { webSockets: "close" });
    expect(await stateOf(cluster)).toBe("suspect");
    expect(await stateOf(linked(all, 1).cluster)).toBe("ready");
  });

  it("[WORLD-7] takes over nothing of its world meanwhile, and does when it is back", async () => {
    const name = `w-${crypto.randomUUID().slice(0, 18)}`;
    const world = { name, fragments: [{ name: "n", min: [0, 0, 0], max: [1, 1, 1] }] } as const;
    const carrier = await startCluster({ world });
    const carried = async () => {
      const { token } = carrier;
      const view = await expectJson<WorldMapView>(
        await call("GET", `/v1/clusters/${carrier.id}/world`, { token }),
        200,
      );
      return view.fragments.map(({ clusterId }) => clusterId);
    };
    await eventually(async () => expect(await carried()).toEqual([carrier.id]));
    const [first, second] = [await startCluster({ world }), await startCluster({ world })];
    const link = await first.openLink();
    const { accessToken: token } = await logInOperator();
    const announced = async () => {
      const answer = await call("GET", `/v1/admin/worlds/${name}`, { token });
      return (await expectJson<WorldOverview>(answer, 200)).announced.map(({ reasons }) => reasons);
    };
    await eventually(async () => expect(await announced()).toHaveLength(3));
    link.break();
    // Said when it happens, not at the next look at all leases.
    await eventually(async () => expect(await announced()).toEqual([[], ["suspect"], []]));
    const drain = { token, body: { deadlineSeconds: 600, movePlayers: true } };
    await expectJson(await call("PUT", `/v1/admin/clusters/${carrier.id}/drain`, drain), 200);
    await eventually(async () => expect(await carried()).toEqual([second.id]));
    await expectJson(await call("PUT", `/v1/admin/clusters/${second.id}/drain`, drain), 200);
    await eventually(async () => expect(await announced()).toEqual([["draining"], ["suspect"], ["draining"]]));
    expect(await carried()).toEqual([second.id]);
    await first.report();
    await eventually(async () => expect(await carried()).toEqual([first.id]));
  });

  it("stays suspect through the hibernation of its object", async () => {
    const all = await startLinked(2);
    const { cluster, link } = linked(all, 0);
    link.break();
    await toBe(cluster, "suspect");
    await evictDurableObject(shard, { webSockets: "hibernate" });
    expect(await stateOf(cluster)).toBe("suspect");
    expect(await given(6)).toEqual(new Set([linked(all, 1).cluster.id]));
  });
});
