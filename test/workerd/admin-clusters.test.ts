import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { watchFailpoints } from "../../control-plane/failpoint.ts";
import { RegistryShard } from "../../control-plane/worker.ts";
import type { LinkCommand, PlayerSessionTokens } from "../../protocol/index.ts";
import { seatOf, startCluster, type TestLink } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { eventually } from "../support/eventually.ts";

let operator: PlayerSessionTokens;

beforeAll(async () => {
  operator = await logInOperator();
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

async function admin(method: string, path: string, body?: unknown): Promise<Response> {
  return call(method, `/v1/admin${path}`, { token: operator.accessToken, ...(body === undefined ? {} : { body }) });
}

interface Shown {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly locked: boolean;
  readonly capacity: number;
  readonly declaredCapacity: number;
  readonly tags: readonly string[];
  readonly ordersVersion: number;
}

async function shown(id: string): Promise<Shown> {
  return expectJson(await admin("GET", `/clusters/${id}`), 200);
}

/** The next orders that come over a link. */
async function ordersOf(link: TestLink): Promise<Extract<LinkCommand, { type: "orders" }>> {
  for (;;) {
    const command = await link.nextCommand();
    if (command.type === "orders") return command;
  }
}

describe("the list", () => {
  it("pages through all shards, and is filtered", async () => {
    const clusters = await Promise.all(
      ["default", "eu", "eu", "eu", "default"].map((region, index) =>
        startCluster({ region, instance: `listed-${index}` }),
      ),
    );
    const seen: Shown[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const page: { clusters: Shown[]; next: string | null } = await expectJson(
        await admin("GET", `/clusters?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`),
        200,
      );
      seen.push(...page.clusters);
      cursor = page.next;
    }
    const ids = seen.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(clusters.map(({ id }) => id)));
    const eu: { clusters: { region: string }[] } = await expectJson(await admin("GET", "/clusters?region=eu"), 200);
    expect(new Set(eu.clusters.map(({ region }) => region))).toEqual(new Set(["eu"]));
    await expectProblem(await admin("GET", "/clusters?state=odd"), "INVALID_FIELD");
    await expectProblem(await admin("GET", "/clusters?surprise=1"), "INVALID_FIELD");
    await expectProblem(await admin("GET", `/clusters?cursor=${btoa('{"shard":"x.0"}')}`), "INVALID_FIELD");
  });

  it("adds up by region and shard", async () => {
    await startCluster({ region: "eu", capacity: 7, instance: "counted" });
    interface Sums {
      readonly total: { readonly clusters: number };
      readonly regions: readonly { readonly region: string; readonly shards: readonly unknown[] }[];
    }
    const sums: Sums = await expectJson(await admin("GET", "/capacity"), 200);
    expect(sums.total.clusters).toBeGreaterThan(0);
    expect(sums.regions.find(({ region }) => region === "eu")?.shards).toHaveLength(2);
  });
});

describe("a lock", () => {
  it("keeps the cluster from being offered, also after it registers again, until it is taken off", async () => {
    const cluster = await startCluster({ instance: "locked" });
    const wish = { clusterId: cluster.id };
    await expectJson(await admin("PUT", `/clusters/${cluster.id}/lock`, { reason: "an incident" }), 200);
    expect(await shown(cluster.id)).toMatchObject({ locked: true, reason: "an operator has locked it" });
    await expectProblem(await requestAllocation(await logIn(), wish), "NO_CLUSTER_AVAILABLE");
    await startCluster(cluster.details, cluster.key);
    await expectProblem(await requestAllocation(await logIn(), wish), "NO_CLUSTER_AVAILABLE");
    await expectJson(await admin("DELETE", `/clusters/${cluster.id}/lock`), 200);
    await allocate(await logIn(), wish);
  });

  it("is done, and said to be, also while a shard at which the cluster may be hangs", async () => {
    const { id } = await startCluster({ instance: "hung" });
    vi.spyOn(RegistryShard.prototype, "takeOrders").mockReturnValue(new Promise<never>(() => undefined));
    // As if every second were a fiftieth of one.
    const { setTimeout: real } = globalThis;
    vi.stubGlobal("setTimeout", (done: () => void, ms: number) => real(done, ms / 50));
    await expectJson(await admin("PUT", `/clusters/${id}/lock`, {}), 200);
    const { rows }: { rows: { outcome: string }[] } = await expectJson(
      await admin("GET", `/audit?target=cluster:${id}&limit=1`),
      200,
    );
    expect(rows).toMatchObject([{ outcome: "done" }]);
  });

  it("is refused for a cluster that there is not, and nothing is kept of it", async () => {
    await expectProblem(await admin("PUT", "/clusters/default.AAAAAAAAAAAAAAAAAAAAAA/lock", {}), "CLUSTER_NOT_FOUND");
    await expectProblem(await admin("PUT", "/clusters/nowhere.AAAAAAAAAAAAAAAAAAAAAA/lock", {}), "CLUSTER_NOT_FOUND");
    await expectProblem(await admin("PUT", "/clusters/nonsense/lock", {}), "CLUSTER_NOT_FOUND");
  });
});

describe("the audit log", () => {
  interface Rows {
    readonly rows: readonly { readonly action: string; readonly outcome: string; readonly details: string }[];
  }

  async function recorded(target: string): Promise<string[]> {
    const { rows }: Rows = await expectJson(await admin("GET", `/audit?order=asc&target=cluster:${target}`), 200);
    return rows.map(({ action, outcome, details }) => `${action} ${outcome} ${details}`);
  }

  it("[SEC-47] has what failed as well, and why", async () => {
    const cluster = await startCluster({ instance: "failed" });
    const body = { settings: {}, ifVersion: 7, reason: "a try" };
    await expectProblem(await admin("PUT", `/clusters/${cluster.id}/settings`, body), "ORDERS_CHANGED");
    expect(await recorded(cluster.id)).toEqual([
      'cluster.settings intended {"ifVersion":7,"reason":"a try","settings":"{}"}',
      'cluster.settings failed {"code":"ORDERS_CHANGED"}',
    ]);
  });

  it.each(['"', "\\", "🎮"])("[SEC-47] takes the longest settings that there are, of %s alone", async (sign) => {
    const cluster = await startCluster({ instance: `longest-${sign.codePointAt(0)}` });
    const names = Array.from({ length: 16 }, (_, index) => `label_${index}_`.padEnd(64, "x"));
    const settings = {
      ticketLifetimeSeconds: 60,
      capacity: 1_000_000,
      joinRatePerSecond: 1_234.567_890_123_4,
      tags: Array.from({ length: 16 }, () => sign.repeat(32)),
      labels: Object.fromEntries(names.map((name) => [name, sign.repeat(64)])),
    };
    const body = { settings, ifVersion: 0, reason: sign.repeat(200) };
    await expectJson(await admin("PUT", `/clusters/${cluster.id}/settings`, body), 200);
    const [intended] = await recorded(cluster.id);
    const details: { settings: string } = JSON.parse(intended?.slice("cluster.settings intended ".length) ?? "");
    expect({ ...details, settings: JSON.parse(details.settings) }).toEqual(body);
  });

  it("[SEC-47] keeps what it cannot write down from being done", async () => {
    const cluster = await startCluster({ instance: "unwritten" });
    watchFailpoints((name) => {
      if (name === "audit.recorded") throw new Error("stopped by the test");
    });
    try {
      await expectProblem(await admin("PUT", `/clusters/${cluster.id}/lock`, {}), "AUDIT_UNAVAILABLE");
    } finally {
      watchFailpoints(undefined);
    }
    expect(await shown(cluster.id)).toMatchObject({ locked: false });
  });
});

describe("limits", () => {
  it("hold for operators too, for each of them", async () => {
    const { accessToken: token } = await logInOperator();
    const path = "/v1/admin/clusters/nonsense/lock";
    for (let count = 0; count < 120; count += 1) {
      await expectProblem(await call("PUT", path, { token, body: {} }), "CLUSTER_NOT_FOUND");
    }
    const refused = await expectProblem(await call("PUT", path, { token, body: {} }), "RATE_LIMITED");
    expect(refused.retryAfterSeconds).toBeGreaterThan(0);
    await expectProblem(await admin("PUT", "/clusters/nonsense/lock", {}), "CLUSTER_NOT_FOUND");
  });
});

describe("settings", () => {
  it("take the place of what the cluster declares, at once and after it registers again, and go away again", async () => {
    const cluster = await startCluster({ instance: "set", capacity: 1, tags: ["own"] });
    const link = await cluster.openLink();
    link.send(cluster.nextReport({ full: true }));
    const path = `/clusters/${cluster.id}/settings`;
    const settings = { capacity: 2, tags: ["ordered"], ticketLifetimeSeconds: 7, joinRatePerSecond: 5 };
    const first: { version: number } = await expectJson(await admin("PUT", path, { settings }), 200);
    expect(await ordersOf(link)).toEqual({ type: "orders", version: 1, drain: null, settings: { capacity: 2 } });
    expect(await shown(cluster.id)).toMatchObject({ capacity: 2, declaredCapacity: 1, tags: ["ordered"] });
    const wish = { selector: { tags: ["ordered"] } };
    const made = await allocate(await logIn(), wish);
    expect(made.expiresAt - Math.floor(Date.now() / 1_000)).toBeLessThanOrEqual(7);
    const again = await startCluster(cluster.details, cluster.key);
    expect(await shown(cluster.id)).toMatchObject({ capacity: 2, declaredCapacity: 1, tags: ["ordered"] });
    // Told again to a process that does not say that it has them; not to one that does.
    expect(await again.report({ full: true })).toContainEqual(expect.objectContaining({ type: "orders", version: 1 }));
    expect(await again.report({ ordersVersion: 0 })).toContainEqual(expect.objectContaining({ type: "orders" }));
    expect(await again.report({ ordersVersion: 1 })).not.toContainEqual(expect.objectContaining({ type: "orders" }));
    await expectProblem(await admin("PUT", path, { settings: {}, ifVersion: first.version - 1 }), "ORDERS_CHANGED");
    await expectJson(await admin("PUT", path, { settings: {}, ifVersion: first.version }), 200);
    expect(await shown(cluster.id)).toMatchObject({
      capacity: 1,
      declaredCapacity: 1,
      tags: ["own"],
      ordersVersion: 2,
    });
  });
});

describe("a drain", () => {
  it("takes the cluster off the offer at once, and tells it; undrain before the end takes it back", async () => {
    const cluster = await startCluster({ instance: "drained", tags: ["drained"] });
    const link = await cluster.openLink();
    link.send(cluster.nextReport({ full: true }));
    await expectJson(
      await admin("PUT", `/clusters/${cluster.id}/drain`, { deadlineSeconds: 60, movePlayers: true }),
      200,
    );
    const { drain } = await ordersOf(link);
    expect(drain?.movePlayers).toBe(true);
    expect(drain?.deadlineMs).toBeGreaterThan(50_000);
    const wish = { clusterId: cluster.id };
    await expectProblem(await requestAllocation(await logIn(), wish), "NO_CLUSTER_AVAILABLE");
    expect(await shown(cluster.id)).toMatchObject({ state: "draining", reason: expect.stringContaining("drains") });
    // The same process, or one in its place.
    await startCluster(cluster.details, cluster.key);
    expect(await shown(cluster.id)).toMatchObject({ state: "draining" });
    await expectJson(await admin("DELETE", `/clusters/${cluster.id}/drain`), 200);
    await allocate(await logIn(), wish);
  });

  it("cannot be taken back once its process has ended or has said that it will: it would still end", async () => {
    const cluster = await startCluster({ instance: "ending" });
    const undrain = () => admin("DELETE", `/clusters/${cluster.id}/drain`);
    await expectJson(await undrain(), 200);
    await expectJson(await admin("PUT", `/clusters/${cluster.id}/drain`, { deadlineSeconds: 60 }), 200);
    await call("POST", `/v1/clusters/${cluster.id}/drain`, { token: cluster.token, body: { deadlineMs: 5_000 } });
    const { detail } = await expectProblem(await undrain(), "CLUSTER_ENDED");
    expect(detail).toContain("about to end");
    expect(await shown(cluster.id)).toMatchObject({ state: "draining", ending: true, ordersVersion: 2 });
    await call("DELETE", `/v1/clusters/${cluster.id}`, { token: cluster.token });
    expect((await expectProblem(await undrain(), "CLUSTER_ENDED")).detail).toContain("has ended");
    expect(await shown(cluster.id)).toMatchObject({ state: "gone", ending: false, drainDeadlineAtMs: null });
    // Of whatever comes in its place a drain can be ordered, and taken back.
    await expectJson(await admin("PUT", `/clusters/${cluster.id}/drain`, { deadlineSeconds: 60 }), 200);
    await expectJson(await undrain(), 200);
    await startCluster(cluster.details, cluster.key);
    await allocate(await logIn(), { clusterId: cluster.id });
  });

  it("is over when the process has deregistered: the next one is offered", async () => {
    const cluster = await startCluster({ instance: "ended" });
    await expectJson(await admin("PUT", `/clusters/${cluster.id}/drain`, { deadlineSeconds: 60 }), 200);
    await call("DELETE", `/v1/clusters/${cluster.id}`, { token: cluster.token });
    await startCluster(cluster.details, cluster.key);
    await allocate(await logIn(), { clusterId: cluster.id });
    await expect
      .poll(
        async () =>
          (await expectJson<{ drain: unknown }>(await admin("GET", `/clusters/${cluster.id}/orders`), 200)).drain,
      )
      .toBeNull();
  });

  it("is over for a process that registers after its deadline", async () => {
    const cluster = await startCluster({ instance: "late" });
    await expectJson(await admin("PUT", `/clusters/${cluster.id}/drain`, { deadlineSeconds: 0 }), 200);
    await startCluster(cluster.details, cluster.key);
    await allocate(await logIn(), { clusterId: cluster.id });
  });
});

describe("a player's session", () => {
  it("is shown without its tickets", async () => {
    const cluster = await startCluster({ instance: "played" });
    const player = await logIn();
    const { ticket } = await allocate(player, { clusterId: cluster.id });
    const seat = seatOf(player.player, ticket);
    await cluster.report({ full: true, players: 1, joined: [seat] });
    await expect
      .poll(async () => expectJson(await admin("GET", `/players/${player.player.id}`), 200))
      .toMatchObject({
        generation: seat.generation,
        playing: { clusterId: cluster.id, generation: seat.generation },
        operations: [{ state: "consumed", clusterId: cluster.id }],
      });
    const text = await (await admin("GET", `/players/${player.player.id}`)).text();
    expect(text).not.toContain(ticket);
  });

  it("is none of a player that nobody knows, until one has logged in or is banned ahead of that", async () => {
    const id = crypto.randomUUID();
    const { detail } = await expectProblem(await admin("GET", `/players/${id}`), "PLAYER_NOT_FOUND");
    expect(detail).not.toContain(id);
    // One who has never allocated is known by the record of the login.
    const { player } = await logIn();
    const fresh = { generation: 0, playing: null, ban: null, operations: [] };
    await eventually(async () => {
      expect(await expectJson(await admin("GET", `/players/${player.id}`), 200)).toEqual({ id: player.id, ...fresh });
    });
    await expectJson(await admin("POST", `/players/${id}/ban`, { reason: "evasion" }), 200);
    const banned = { id, ...fresh, ban: { reason: "evasion", until: null } };
    expect(await expectJson(await admin("GET", `/players/${id}`), 200)).toEqual(banned);
    expect((await admin("DELETE", `/players/${id}/ban`)).status).toBe(204);
    expect(await expectJson(await admin("GET", `/players/${id}`), 200)).toEqual({ id, ...fresh });
    const mistyped = await expectProblem(
      await admin("POST", `/players/${id}/ban`, { reason: "evasion", until: "tomorrow" }),
      "INVALID_FIELD",
    );
    expect(mistyped.detail).toContain("2030-01-31T00:00:00Z");
  });
});
