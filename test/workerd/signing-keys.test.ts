import { env } from "cloudflare:workers";
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { decodeProtectedHeader } from "jose";
import { describe, expect, it } from "vitest";
import type { KeyRing } from "../../control-plane/worker.ts";
import { startCluster } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { activeKid, publishedKids, ripenNextKey, toldKeys } from "./support/signing-keys.ts";
import { eventually, eventuallySome } from "../support/eventually.ts";

const path = "/v1/admin/signing-keys";

describe("[SEC-27] rotating the signing key by command", () => {
  it("waits until the next key is known everywhere, then signs with it, and goes on publishing the old one", async () => {
    const operator = await logInOperator();
    const { accessToken: token } = operator;
    const before = await activeKid(operator);
    const early = await expectProblem(await call("POST", `${path}/rotate`, { token }), "KEY_TOO_NEW");
    expect(early.detail).toMatch(/in (?:a minute|\d+ minutes)\.$/);
    await ripenNextKey();
    const { kid } = await expectJson<{ kid: string }>(await call("POST", `${path}/rotate`, { token }), 200);
    expect(await activeKid(operator)).toBe(kid);
    expect(await publishedKids()).toEqual(expect.arrayContaining([before, kid]));
    await expectProblem(await call("POST", `${path}/rotate`, { token }), "KEY_TOO_NEW");
  });

  it("is for operators", async () => {
    const { accessToken: token } = await logIn();
    await expectProblem(await call("POST", `${path}/rotate`, { token }), "FORBIDDEN");
    await expectProblem(await call("POST", `${path}/revoke`, { token, body: {} }), "FORBIDDEN");
    await expectProblem(await call("POST", `${path}/restore`, { token }), "FORBIDDEN");
  });
});

it("[SEC-27] the next key signs by itself once the active one has done so for its time, and clusters hear of it", async () => {
  const operator = await logInOperator();
  const cluster = await startCluster();
  const before = await activeKid(operator);
  // A new one each time: what was there before the object was aborted leads nowhere.
  const ring = () => env.KEY_RING.getByName("ring");
  await runInDurableObject(ring(), (_: KeyRing, { storage }) => {
    const monthAgo = Math.floor(Date.now() / 1_000) - 31 * 24 * 60 * 60;
    storage.sql.exec(
      `UPDATE keys SET record = json_set(record, '$.createdAt', ?, '$.activatedAt', ?)
       WHERE json_extract(record, '$.state') = 'active'`,
      monthAgo,
      monthAgo,
    );
  });
  // This takes the memory of all objects as well: nobody but the alarm finds out.
  await ripenNextKey();
  expect(await runDurableObjectAlarm(ring())).toBe(true);
  const rows = await runInDurableObject(ring(), (_: KeyRing, { storage }) =>
    storage.sql
      .exec<{ kid: string; state: string }>(
        "SELECT json_extract(record, '$.kid') AS kid, json_extract(record, '$.state') AS state FROM keys",
      )
      .toArray(),
  );
  expect(rows).toContainEqual({ kid: before, state: "retired" });
  const active = rows.find(({ state }) => state === "active")?.kid ?? "";
  expect(await publishedKids()).toEqual(expect.arrayContaining([before, active]));
  await toldKeys(cluster);
  const { ticket } = await allocate(await logIn(), { clusterId: cluster.id });
  expect([before, active]).toContain(decodeProtectedHeader(ticket).kid);
  // The one after is there already.
  expect(rows.filter(({ state }) => state === "next")).toHaveLength(1);
});

describe("[SEC-73] a signing key that has leaked", () => {
  it("signs nothing from then on, is published no more, and its tickets are given to nobody", async () => {
    const cluster = await startCluster();
    const link = await cluster.openLink();
    const [operator, player] = [await logInOperator(), await logIn()];
    const key = crypto.randomUUID();
    const wish = { clusterId: cluster.id };
    const leaked = decodeProtectedHeader((await allocate(player, wish, key)).ticket).kid ?? "";
    const { accessToken: token } = operator;
    expect(await expectJson(await call("POST", `${path}/revoke`, { token, body: {} }), 200)).toEqual({ kid: leaked });
    let told = await link.nextKeys();
    while (!told.revoked.includes(leaked)) told = await link.nextKeys();
    expect(await publishedKids()).not.toContain(leaked);
    const { ticket } = await allocate(await logIn(), wish);
    expect(decodeProtectedHeader(ticket).kid).not.toBe(leaked);
    await expectProblem(await requestAllocation(player, wish, key), "TICKET_REVOKED");
    // Once more, as after an answer that was lost.
    expect((await call("POST", `${path}/revoke`, { token, body: { kid: leaked } })).status).toBe(200);
    await expectProblem(await call("POST", `${path}/revoke`, { token, body: { kid: "unknown" } }), "NOT_FOUND");
    link.close();
  });

  it("is told again over the link to a cluster that holds an earlier set, until it holds this one", async () => {
    const { accessToken: token } = await logInOperator();
    const cluster = await startCluster();
    await expectJson(await call("POST", `${path}/revoke`, { token, body: {} }), 200);
    const { version: earlier } = await toldKeys(cluster);
    const link = await cluster.openLink();
    link.send(cluster.nextReport({ full: true, keys: earlier }));
    await link.nextCommand();
    await expectJson(await call("POST", `${path}/revoke`, { token, body: {} }), 200);
    const newest = await eventuallySome(async () => {
      const { version } = await link.nextKeys();
      return version > earlier ? version : undefined;
    });
    // Nothing is answered, and nothing asked.
    expect((await link.nextKeys()).version).toBeGreaterThanOrEqual(newest);
    const repeatAt = async () =>
      runInDurableObject(env.REGISTRY_SHARD.getByName("default.0"), (_, { storage }) => {
        const sets = storage.sql.exec<{ version: number; due: number | null }>(
          "SELECT version, repeat_at AS due FROM key_set",
        );
        return sets.one();
      });
    await eventually(async () => {
      const { version } = await repeatAt();
      link.send(cluster.nextReport({ keys: version }));
      await link.nextCommand();
      expect((await repeatAt()).due).toBeNull();
    });
  });

  it("is told to a cluster with every report until it holds the set", async () => {
    const cluster = await startCluster();
    const { accessToken: token } = await logInOperator();
    await expectJson(await call("POST", `${path}/revoke`, { token, body: {} }), 200);
    const { version } = await toldKeys(cluster);
    const told = async (keys: number) => (await cluster.commandsAfter({ keys })).filter(({ type }) => type === "keys");
    await eventually(async () => {
      const { version: newest } = await toldKeys(cluster);
      expect(await told(newest)).toEqual([]);
    });
    expect(await told(version - 1)).toHaveLength(1);
    expect(await told(Number.MAX_SAFE_INTEGER)).toHaveLength(1);
  });
});

it("[SEC-74] the ring is copied to the database, encrypted, and taken back from there when its object is lost", async () => {
  const { accessToken: token } = await logInOperator();
  const before = await publishedKids();
  const ring = () => env.KEY_RING.getByName("ring");
  const copied = async () =>
    eventually(async () => {
      const waiting = await runInDurableObject(
        ring(),
        (_: KeyRing, { storage }) => storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM outbox").one().n,
      );
      expect(waiting).toBe(0);
    });
  await copied();
  await runInDurableObject(ring(), async (_: KeyRing, { storage }) => storage.deleteAll());
  await abortAllDurableObjects();
  // Players do not wait for an operator: by then there is another ring, and it has been copied too.
  expect(await publishedKids()).not.toEqual(expect.arrayContaining(before));
  await copied();
  const restore = async () => expectJson(await call("POST", `${path}/restore`, { token }), 200);
  expect(await restore()).toEqual({ restored: before.length });
  expect(await publishedKids()).toEqual(expect.arrayContaining(before));
  expect(await restore()).toEqual({ restored: 0 });
});
