import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listAllocations, listClusterEvents } from "../../control-plane/store/history.ts";
import { migrate } from "../../control-plane/store/migrate.ts";
import { findPlayer } from "../../control-plane/store/players.ts";
import { freePort } from "../../dev/ports.ts";
import type { StackProcess } from "../../dev/process.ts";
import { type ClusterProcess, type MasterProcess, startCluster, startMaster } from "../../dev/stack.ts";
import type { Allocation, PlayerSessionTokens, Problem } from "../../protocol/index.ts";
import { startService } from "../support/start-service.ts";

/*
 * Database and identity service each go away under load, as real processes that are killed or paused, and come back. Shorter than in life,
 * so that the tests end; OUTAGE_SECONDS=60 makes it the minute that is promised.
 */

const outageSeconds = Number(process.env["OUTAGE_SECONDS"] ?? "5");
const outageMs = outageSeconds * 1_000;
const allocationsPerSecond = 15;
const loginsPerSecond = 4;
const databaseToken = randomUUID();
const publishableKey = `sb_publishable_${randomUUID()}`;
const secretKey = `sb_secret_${randomUUID()}`;

let stateDir: string;
let databasePort: number;
let identityPort: number;
let database: StackProcess;
let identity: StackProcess;
let master: MasterProcess;
let cluster: ClusterProcess;
const log: string[] = [];
const say = (who: string, what: string): void => void log.push(`${who} ${what}`);

async function start(kind: "database" | "identity"): Promise<StackProcess> {
  const [port, file, keys] =
    kind === "database"
      ? ([databasePort, "turso.db", [databaseToken]] as const)
      : ([identityPort, "auth.db", [publishableKey, secretKey]] as const);
  return startService(kind, { port, file: join(stateDir, file), keys, onLine: (line) => say(kind, line) });
}

async function kill(service: StackProcess): Promise<void> {
  service.child.kill("SIGKILL");
  await service.ended;
}

const environment = () => ({
  TURSO_DATABASE_URL: address().url,
  TURSO_AUTH_TOKEN: databaseToken,
  SUPABASE_URL: `http://127.0.0.1:${identityPort}`,
  SUPABASE_PUBLISHABLE_KEY: publishableKey,
  SUPABASE_SECRET_KEY: secretKey,
});

const address = () => ({ url: `http://127.0.0.1:${databasePort}`, authToken: databaseToken });

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "sustenet-outages-"));
  [databasePort, identityPort] = [await freePort("127.0.0.1"), await freePort("127.0.0.1")];
  [database, identity] = await Promise.all([start("database"), start("identity")]);
  await migrate(address());
  master = await startMaster({ stateDir, port: 0, environment: environment(), say });
  cluster = await startCluster({ stateDir, number: 1, master, say });
});

afterAll(async () => {
  await cluster.stop();
  await master.stop();
  await Promise.all([kill(database), kill(identity)]);
  rmSync(stateDir, { recursive: true, force: true });
});

async function call(
  method: string,
  path: string,
  token?: string,
  body?: unknown,
  key: string = randomUUID(),
): Promise<Response> {
  return fetch(master.url + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(path === "/v1/allocate" ? { "idempotency-key": key } : {}),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function logIn(): Promise<PlayerSessionTokens> {
  const response = await call("POST", "/v1/login", undefined, { anonymous: true, displayName: "Ada" });
  if (response.status !== 200) throw new Error(`no login: ${response.status} ${await response.text()}`);
  const tokens: PlayerSessionTokens = JSON.parse(await response.text());
  return tokens;
}

/** What came of the load: what was given, by player, and everything else by status and code. */
interface LoadOutcome {
  readonly reservations: Map<string, string[]>;
  readonly newPlayers: string[];
  readonly allocations: Map<string, number>;
  readonly logins: Map<string, number>;
}

/** Allocations of players who have logged in before, and logins of new ones, until the stop; then waits for every answer. */
function startLoad(players: readonly PlayerSessionTokens[]): { stop(): Promise<LoadOutcome> } {
  const outcome: LoadOutcome = {
    reservations: new Map(),
    newPlayers: [],
    allocations: new Map(),
    logins: new Map(),
  };
  const under = new Set<Promise<void>>();
  const track = (work: Promise<void>): void => {
    const tracked = work.finally(() => under.delete(tracked));
    under.add(tracked);
  };
  let next = 0;
  const allocate = async (): Promise<void> => {
    const player = players[next++ % players.length];
    if (player === undefined) return;
    const response = await call("POST", "/v1/allocate", player.accessToken, {});
    count(outcome.allocations, response.status === 200 ? "200" : codeOf(await response.clone().text()));
    if (response.status !== 200) return;
    const { reservationId }: Allocation = JSON.parse(await response.text());
    const { id } = player.player;
    outcome.reservations.set(id, [...(outcome.reservations.get(id) ?? []), reservationId]);
  };
  const logInOne = async (): Promise<void> => {
    const response = await call("POST", "/v1/login", undefined, { anonymous: true, displayName: "Grace" });
    count(outcome.logins, response.status === 200 ? "200" : codeOf(await response.clone().text()));
    if (response.status !== 200) return;
    const tokens: PlayerSessionTokens = JSON.parse(await response.text());
    outcome.newPlayers.push(tokens.player.id);
  };
  const timers = [
    setInterval(() => track(allocate()), 1_000 / allocationsPerSecond),
    setInterval(() => track(logInOne()), 1_000 / loginsPerSecond),
  ];
  return {
    stop: async () => {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(under);
      return outcome;
    },
  };
}

function codeOf(text: string): string {
  const problem: Partial<Problem> = JSON.parse(text);
  return problem.code ?? "?";
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

async function pass(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** All that was given, and everybody who came, is on record, each once. */
async function expectOnRecord({
  reservations,
  newPlayers,
}: Pick<LoadOutcome, "reservations" | "newPlayers">): Promise<void> {
  await expect
    .poll(
      async () => {
        const missing: string[] = [];
        for (const [playerId, ids] of reservations) {
          const history = await listAllocations(address(), { playerId, limit: 1_000, nowMs: Date.now() });
          const recorded = history.map(({ reservationId }) => reservationId);
          missing.push(...ids.filter((id) => recorded.filter((each) => each === id).length !== 1));
          if (new Set(recorded).size !== recorded.length) missing.push(`${playerId} has a row twice`);
        }
        for (const id of newPlayers) if ((await findPlayer(address(), id)) === undefined) missing.push(id);
        return missing;
      },
      { timeout: 90_000, interval: 1_000 },
    )
    .toEqual([]);
}

async function manyPlayers(): Promise<readonly PlayerSessionTokens[]> {
  return Promise.all(Array.from({ length: 40 }, () => logIn()));
}

/** Waits as long as an outage lasts, with the load going on before, in it, and after it. */
async function duringOutage(
  players: readonly PlayerSessionTokens[],
  goAway: () => Promise<void>,
  meanwhile: () => Promise<void>,
  comeBack: () => Promise<void>,
): Promise<LoadOutcome> {
  const load = startLoad(players);
  try {
    await pass(1_000);
    await goAway();
    const endsAt = performance.now() + outageMs;
    await meanwhile();
    await pass(Math.max(0, endsAt - performance.now()));
  } finally {
    await comeBack();
  }
  await pass(1_000);
  return load.stop();
}

describe("while the database is away", () => {
  const ways = {
    killed: {
      goAway: async () => kill(database),
      comeBack: async () => {
        database = await start("database");
      },
    },
    paused: {
      goAway: async () => void database.child.kill("SIGSTOP"),
      comeBack: async () => void database.child.kill("SIGCONT"),
    },
  };

  it.each(Object.entries(ways))(
    "(%s), players log in and are allocated, a cluster registers again, and all is on record afterwards, once",
    { timeout: 240_000 + 2 * outageMs },
    async (_, { goAway, comeBack }) => {
      const players = await manyPlayers();
      const outcome = await duringOutage(
        players,
        goAway,
        async () => {
          // Only what is in the database needs it.
          const exported = await call("GET", "/v1/me/export", players[0]?.accessToken);
          expect(codeOf(await exported.text())).toBe("DATABASE_UNAVAILABLE");
          expect(Number(exported.headers.get("retry-after"))).toBeGreaterThan(0);
          await cluster.stop();
          cluster = await startCluster({ stateDir, number: 1, master, say });
        },
        comeBack,
      );
      expect([...outcome.logins.keys()]).toEqual(["200"]);
      // While the cluster started again there was none to be had; nothing else may have gone wrong.
      const odd = [...outcome.allocations.keys()].filter((key) => key !== "200" && key !== "NO_CLUSTER_AVAILABLE");
      expect(odd).toEqual([]);
      expect(outcome.allocations.get("200")).toBeGreaterThan(allocationsPerSecond * outageSeconds * 0.3);
      await expectOnRecord(outcome);
      const events = await listClusterEvents(address(), { limit: 100 });
      expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(events.length);
      expect(events.filter(({ event }) => event === "registered").length).toBeGreaterThanOrEqual(2);
      const exported = await call("GET", "/v1/me/export", players[0]?.accessToken);
      expect(exported.status).toBe(200);
    },
  );
});

describe("a deploy", () => {
  it("drops every link, and nothing else: clusters come back, tickets stay, nothing is lost", async () => {
    const [player, other] = [await logIn(), await logIn()];
    const key = randomUUID();
    const before = await call("POST", "/v1/allocate", player.accessToken, {}, key);
    expect(before.status).toBe(200);
    const { port } = new URL(master.url);
    const linksUp = () => log.filter((line) => line.includes("the link to the master is up")).length;
    const linked = linksUp();
    // As a deploy does: the memory of all objects and every socket go at once; what is stored stays.
    await kill(master);
    master = await startMaster({ stateDir, port: Number(port), environment: environment(), say });
    await expect.poll(linksUp, { timeout: 60_000, interval: 250 }).toBeGreaterThan(linked);
    const again = await (await call("POST", "/v1/allocate", player.accessToken, {}, key)).text();
    expect(again).toBe(await before.text());
    const next = await call("POST", "/v1/allocate", other.accessToken, {});
    expect(next.status).toBe(200);
    const [first, second]: Allocation[] = [JSON.parse(again), JSON.parse(await next.text())];
    const reservations = new Map([
      [player.player.id, [first?.reservationId ?? ""]],
      [other.player.id, [second?.reservationId ?? ""]],
    ]);
    await expectOnRecord({ reservations, newPlayers: [player.player.id, other.player.id] });
  });
});

describe("while the identity service is away", () => {
  it(
    "nobody logs in, and is told why; who has a token is allocated; afterwards logins go on, and nothing is lost",
    { timeout: 240_000 + 2 * outageMs },
    async () => {
      const players = await manyPlayers();
      let during: Response | undefined;
      const outcome = await duringOutage(
        players,
        async () => kill(identity),
        async () => {
          during = await call("POST", "/v1/login", undefined, { anonymous: true });
        },
        async () => {
          identity = await start("identity");
        },
      );
      expect(during?.status).toBe(503);
      expect(codeOf((await during?.text()) ?? "{}")).toBe("IDENTITY_UNAVAILABLE");
      expect(Number(during?.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(new Set(outcome.logins.keys())).toEqual(new Set(["200", "IDENTITY_UNAVAILABLE"]));
      // Tokens are checked with the keys that the master has in memory.
      expect([...outcome.allocations.keys()]).toEqual(["200"]);
      await expectOnRecord(outcome);
      await logIn();
    },
  );
});
