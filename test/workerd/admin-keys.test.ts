import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, inject, it, vi } from "vitest";
import * as worker from "../../control-plane/worker.ts";
import { linkCloseCodes, type PlayerSessionTokens } from "../../protocol/index.ts";
import {
  assertionOf,
  createKey,
  registration,
  requestRegistration,
  startCluster,
  type TestKey,
} from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { logIn } from "./support/players.ts";
import type { Provided } from "./support/provided.ts";

let operator: PlayerSessionTokens;

beforeAll(async () => {
  operator = await logInOperator();
});

interface Entry {
  readonly keyId: string;
  readonly name: string;
  readonly state: string;
  readonly retiresAtMs: number | null;
}

async function admin(method: string, path: string, body?: unknown, token = operator.accessToken): Promise<Response> {
  return call(method, `/v1/admin${path}`, { token, ...(body === undefined ? {} : { body }) });
}

async function enrol(key: TestKey, name = "frankfurt"): Promise<Entry> {
  return expectJson(await admin("POST", "/keys", { name, publicKey: key.publicKey }), 200);
}

async function tryToRegister(key: TestKey, changes = {}): Promise<Response> {
  const details = registration(changes);
  return requestRegistration(details, await assertionOf(key, details.instance));
}

async function outcomesOf(target: string): Promise<string[]> {
  interface Rows {
    readonly rows: readonly { readonly action: string; readonly outcome: string; readonly details: string }[];
  }
  const { rows }: Rows = await expectJson(await admin("GET", `/audit?order=asc&target=${target}`), 200);
  return rows.map(({ action, outcome, details }) => `${action} ${outcome} ${details}`);
}

describe("enrolling", () => {
  it("[SEC-47] lets clusters register, and is on record with what came of it", async () => {
    const key = await createKey();
    await expectProblem(await tryToRegister(key), "CLUSTER_KEY_UNKNOWN");
    const entry = await enrol(key);
    expect(entry).toMatchObject({ keyId: key.keyId, name: "frankfurt", state: "enrolled" });
    await expectJson(await tryToRegister(key), 200);
    expect(await outcomesOf(`key:${key.keyId}`)).toEqual([
      'key.enrol intended {"name":"frankfurt"}',
      "key.enrol done {}",
    ]);
  });

  it("[SEC-45] is for operators whose session lives and who still have the role", async () => {
    const key = await createKey();
    const body = { name: "x", publicKey: key.publicKey };
    await expectProblem(await call("POST", "/v1/admin/keys", { body }), "UNAUTHENTICATED");
    await expectProblem(await admin("POST", "/keys", body, (await logIn()).accessToken), "FORBIDDEN");
    const signedOut = await logInOperator();
    await call("POST", "/v1/logout", { token: signedOut.accessToken });
    await expectProblem(await admin("POST", "/keys", body, signedOut.accessToken), "UNAUTHENTICATED");
    const dismissed = await logInOperator();
    const bindings: Provided["workerBindings"] = inject("workerBindings");
    const secretKey = bindings["SUPABASE_SECRET_KEY"] ?? "";
    await fetch(`${bindings["SUPABASE_URL"]}/auth/v1/admin/users/${dismissed.player.id}`, {
      method: "PUT",
      headers: { apikey: secretKey, authorization: `Bearer ${secretKey}` },
      body: JSON.stringify({ app_metadata: { roles: [] } }),
    });
    await expectProblem(await admin("POST", "/keys", body, dismissed.accessToken), "FORBIDDEN");
    await expectProblem(await tryToRegister(key), "CLUSTER_KEY_UNKNOWN");
  });

  it("lists keys page by page", async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, () => createKey()));
    for (const key of keys) await enrol(key, "paged");
    const seen: string[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
      const page: { keys: Entry[]; next: string | null } = await expectJson(
        await admin("GET", `/keys?limit=2${query}`),
        200,
      );
      seen.push(...page.keys.map(({ keyId }) => keyId));
      cursor = page.next;
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(keys.map(({ keyId }) => keyId)));
  });
});

describe("revoking", () => {
  it("[SEC-49] stops linked processes within a second, and refuses them from then on, also where the key is cached", async () => {
    const key = await createKey();
    await enrol(key);
    const here = await startCluster({ instance: "one" }, key);
    const there = await startCluster({ instance: "two", region: "eu" }, key);
    const links = [await here.openLink(), await there.openLink()];
    const beganAtMs = Date.now();
    await expectJson(await admin("DELETE", `/keys/${key.keyId}`), 200);
    for (const link of links) {
      expect(await link.next()).toEqual({ closed: linkCloseCodes.FENCED });
      expect(link.closeReason).toBe("FENCED key-ended");
    }
    expect(Date.now() - beganAtMs).toBeLessThan(5_000);
    for (const cluster of [here, there]) {
      const body = cluster.nextReport();
      const path = `/v1/clusters/${cluster.id}/heartbeat`;
      const refused = [await call("POST", path, { token: cluster.token, body }), await cluster.requestLink()];
      for (const answer of refused) {
        expect(await expectProblem(answer, "CLUSTER_FENCED")).toMatchObject({ fencedBy: "key-ended" });
      }
      await expectProblem(await tryToRegister(key, cluster.details), "CLUSTER_KEY_UNKNOWN");
    }
    await expectProblem(await admin("POST", "/keys", { name: "x", publicKey: key.publicKey }), "KEY_REVOKED");
    const repeated: { pendingShards: number } = await expectJson(await admin("DELETE", `/keys/${key.keyId}`), 200);
    expect(repeated.pendingShards).toBe(0);
  });

  it("[SEC-49] is told to shards that were away for days as well, and says meanwhile that they were not", async () => {
    const key = await createKey();
    await enrol(key);
    const link = await (await startCluster({ instance: "away" }, key)).openLink();
    const away = vi.spyOn(worker.RegistryShard.prototype, "revokeKey").mockImplementation(() => {
      throw new Error("away");
    });
    interface Revoked {
      readonly pendingShards: number;
    }
    const revoke = async (): Promise<Revoked> => expectJson(await admin("DELETE", `/keys/${key.keyId}`), 200);
    const passDays = async () =>
      runInDurableObject(env.CLUSTER_KEY_RECORD.getByName(key.keyId), (_, { storage }) => {
        storage.sql.exec("UPDATE outbox SET due_at = 1, created_at = created_at - ?", 3 * 86_400_000);
      });
    try {
      const { pendingShards } = await revoke();
      expect(pendingShards).toBeGreaterThan(0);
      await passDays();
      expect((await revoke()).pendingShards).toBe(pendingShards);
    } finally {
      away.mockRestore();
    }
    await passDays();
    expect((await revoke()).pendingShards).toBe(0);
    expect(await link.next()).toEqual({ closed: linkCloseCodes.FENCED });
  });

  it("[SEC-49] reaches a region that the key has brought a moment ago", async () => {
    const key = await createKey();
    await enrol(key);
    // Now the master has in memory which regions there are.
    await expectJson(await call("GET", "/v1/clusters"), 200);
    const cluster = await startCluster({ region: `brought-${crypto.randomUUID().slice(0, 8)}` }, key);
    const link = await cluster.openLink();
    const { pendingShards }: { pendingShards: number } = await expectJson(
      await admin("DELETE", `/keys/${key.keyId}`),
      200,
    );
    expect(pendingShards).toBe(0);
    expect(await link.next()).toEqual({ closed: linkCloseCodes.FENCED });
    await expectProblem(await cluster.requestLink(), "CLUSTER_FENCED");
  });

  it("holds at a shard that was never told, though the database does not know of it", async () => {
    const key = await createKey();
    await enrol(key);
    await expectJson(await admin("DELETE", `/keys/${key.keyId}`), 200);
    const { createClient } = await import("@libsql/client/web");
    const bindings: Provided["workerBindings"] = inject("workerBindings");
    const client = createClient({
      url: bindings["TURSO_DATABASE_URL"] ?? "",
      authToken: bindings["TURSO_AUTH_TOKEN"] ?? "",
    });
    await client.execute({ sql: "UPDATE cluster_keys SET revoked_at = NULL WHERE key_id = ?", args: [key.keyId] });
    for (const name of ["default.0", "eu.0", "eu.1"]) {
      await runInDurableObject(env.REGISTRY_SHARD.getByName(name), (_, state) => {
        state.storage.sql.exec("DELETE FROM revoked_keys WHERE key_id = ?", key.keyId);
      });
    }
    await expectProblem(await tryToRegister(key), "CLUSTER_KEY_UNKNOWN");
  });

  it("of a key that there is not says so", async () => {
    await expectProblem(await admin("DELETE", `/keys/${"A".repeat(43)}`), "NOT_FOUND");
    await expectProblem(await admin("DELETE", "/keys/short"), "INVALID_FIELD");
  });
});

describe("rotating", () => {
  it("takes both keys during the overlap, then only the new one", async () => {
    const [old, next] = [await createKey(), await createKey()];
    await enrol(old, "rotated");
    const cluster = await startCluster({ instance: "one" }, old);
    const link = await cluster.openLink();
    const path = `/keys/${old.keyId}/rotate`;
    const answer: { added: Entry; retired: Entry } = await expectJson(
      await admin("POST", path, { publicKey: next.publicKey, overlapSeconds: 3_600 }),
      200,
    );
    expect(answer.added).toMatchObject({ keyId: next.keyId, name: "rotated", state: "enrolled" });
    expect(answer.retired).toMatchObject({ keyId: old.keyId, state: "retiring" });
    await expectJson(await tryToRegister(next, { instance: "two" }), 200);
    await expectJson(await tryToRegister(old, { instance: "three" }), 200);
    // Earlier than was said before: the overlap can be cut short.
    await expectJson(await admin("POST", path, { publicKey: next.publicKey, overlapSeconds: 0 }), 200);
    const record = env.CLUSTER_KEY_RECORD.getByName(old.keyId);
    await evictDurableObject(record);
    await runDurableObjectAlarm(record);
    expect(await link.next()).toEqual({ closed: linkCloseCodes.FENCED });
    await expectProblem(await tryToRegister(old, { instance: "four" }), "CLUSTER_KEY_UNKNOWN");
    await expectJson(await tryToRegister(next, { instance: "two" }), 200);
  });

  it("refuses the same key, one that is not there, and one that was revoked", async () => {
    const [key, other] = [await createKey(), await createKey()];
    await enrol(key);
    const body = { publicKey: key.publicKey, overlapSeconds: 60 };
    await expectProblem(await admin("POST", `/keys/${key.keyId}/rotate`, body), "INVALID_FIELD");
    await expectProblem(await admin("POST", `/keys/${other.keyId}/rotate`, body), "NOT_FOUND");
    await expectJson(await admin("DELETE", `/keys/${key.keyId}`), 200);
    const rotation = { publicKey: other.publicKey, overlapSeconds: 60 };
    await expectProblem(await admin("POST", `/keys/${key.keyId}/rotate`, rotation), "KEY_REVOKED");
  });
});
