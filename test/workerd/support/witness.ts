import { env } from "cloudflare:workers";
import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { createLocalJWKSet, decodeProtectedHeader } from "jose";
import { expect } from "vitest";
import { verifyTicket } from "../../../auth/ticket.ts";
import type { RegistryShard } from "../../../control-plane/worker.ts";
import type { Allocation, JsonWebKeySet, PlayerSessionTokens, SeatRef } from "../../../protocol/index.ts";
import { seatOf, startCluster, type TestCluster, testShards } from "./clusters.ts";
import { call, expectJson, expectProblem, masterUrl } from "./master.ts";
import { logInOperator } from "./operators.ts";
import { allocate, logIn, requestAllocation } from "./players.ts";
import { askSession } from "./sessions.ts";
import type { KeySet } from "./signing-keys.ts";

/** How long the master seems to have been away after a crash: far longer than a lease, not yet long enough to give clusters up. */
const awayMs = 9 * 60_000;

/**
 * Others, who have nothing to do with a flow that is stopped: a player in the game on `home`, whose session on `left` is an older one,
 * and a player with a ticket for the last seat of `home`. The rules of the architecture hold for them whatever stops, and whatever
 * memory is lost. The numbers are those of "Rules that must never break".
 */
export interface Witness {
  readonly operator: PlayerSessionTokens;
  readonly home: TestCluster;
  readonly left: TestCluster;
  readonly older: SeatRef;
  readonly newer: SeatRef;
  readonly holder: PlayerSessionTokens;
  readonly passerBy: PlayerSessionTokens;
  /** How many looks at the rules it has been through. */
  looks: number;
}

/** What was there before a crash. */
export interface WitnessedCrash {
  /** Of the ticket for the last seat. */
  readonly key: string;
  readonly allocation: Allocation;
  /** As a cluster has fetched it. */
  readonly keys: JsonWebKeySet;
}

export async function startWitness(): Promise<Witness> {
  const operator = await logInOperator();
  const home = await startCluster({ capacity: 2, ticketLifetimeSeconds: 300 });
  const left = await startCluster({ region: "eu" });
  const player = await logIn();
  const older = seatOf(player.player, (await allocate(player, { clusterId: left.id })).ticket);
  await left.report({ full: true, players: 1, joined: [older] });
  const newer = seatOf(player.player, (await allocate(player, { clusterId: home.id })).ticket);
  await home.report({ full: true, players: 1, joined: [newer] });
  return { operator, home, left, older, newer, holder: await logIn(), passerBy: await logIn(), looks: 0 };
}

/** What is true before anything stops, to be held against what is true after it. */
export async function watch({ holder, home }: Witness): Promise<WitnessedCrash> {
  const key = crypto.randomUUID();
  const allocation = await allocate(holder, { clusterId: home.id }, key);
  const keys = await expectJson<JsonWebKeySet>(await call("GET", "/.well-known/jwks.json"), 200);
  return { key, allocation, keys };
}

/** Rules 1, 2, 3, 4 and 9. */
export async function expectRules(witness: Witness, before: WitnessedCrash): Promise<void> {
  witness.looks += 1;
  await expectCountsToAddUp(witness);
  await expectIdenticalRetry(witness, before);
  await expectOneAuthority(witness);
  await expectToJoinOffline(witness, before);
}

/** Rule 4: a cluster lets the ticket in by what it knows, and one that was started again meanwhile does not. */
export async function expectToJoinOffline({ home }: Witness, { allocation, keys }: WitnessedCrash): Promise<void> {
  const resolve = createLocalJWKSet({ keys: [...keys.keys] });
  const expected = {
    issuer: masterUrl,
    clusterId: home.id,
    game: "default",
    boot: home.registered.boot,
    versions: { min: 1, max: 1 },
    maxLifetimeSeconds: 300,
    now: Math.floor(Date.now() / 1_000),
  };
  const keyOf = async (kid: string) => {
    const key = await resolve({ alg: "ES256", kid });
    if (key instanceof Uint8Array) throw new Error("not an asymmetric key");
    return key;
  };
  const { ticket } = allocation;
  expect(await verifyTicket(ticket, keyOf, expected)).toMatchObject({ ok: true });
  const restarted = { ...expected, boot: expected.boot + 1 };
  expect(await verifyTicket(ticket, keyOf, restarted)).toMatchObject({ ok: false, fault: "STALE_BOOT" });
}

/** Makes the time in which nothing ran a long one, for rule 5. To be called with all objects without memory. */
export async function stayAway(): Promise<void> {
  for (const name of testShards) {
    await runInDurableObject(env.REGISTRY_SHARD.getByName(name), (_: RegistryShard, { storage }) => {
      storage.sql.exec("UPDATE clusters SET renewed_at = renewed_at - ? WHERE renewed_at > 0", awayMs);
      storage.sql.exec("UPDATE sweep SET next_at = next_at - ? WHERE next_at > 0", awayMs);
    });
  }
  await abortAllDurableObjects();
}

/** Rule 5: nobody was evicted for the silence of a time in which the master was not there. */
export async function expectOffered({ operator, home, left }: Witness): Promise<void> {
  const { accessToken: token } = operator;
  for (const [{ id }, reason] of [
    [home, "it is full"],
    [left, null],
  ] as const) {
    const seen = await expectJson<object>(await call("GET", `/v1/admin/clusters/${id}`, { token }), 200);
    expect(seen).toMatchObject({ id, state: "ready", reason });
  }
}

/** Rule 1. */
async function expectCountsToAddUp({ passerBy, home }: Witness): Promise<void> {
  for (const name of testShards) {
    const wrong = await runInDurableObject(env.REGISTRY_SHARD.getByName(name), (_: RegistryShard, { storage }) =>
      storage.sql
        .exec(
          `SELECT * FROM (
             SELECT cluster_id, capacity, seats, joined,
               (SELECT count(*) FROM seats AS s WHERE s.cluster_id = c.cluster_id) AS given,
               (SELECT count(joined_generation) FROM seats AS s WHERE s.cluster_id = c.cluster_id) AS taken
             FROM clusters AS c)
           WHERE seats <> given OR joined <> taken OR (capacity > 0 AND given > capacity)`,
        )
        .toArray(),
    );
    expect(wrong, `seats of ${name}`).toEqual([]);
  }
  await expectProblem(await requestAllocation(passerBy, { clusterId: home.id }), "CLUSTER_FULL");
}

/** Rule 2. What was signed by a key that has leaked meanwhile is given to nobody. */
async function expectIdenticalRetry({ holder, home, operator }: Witness, before: WitnessedCrash): Promise<void> {
  const { key, allocation } = before;
  const retried = await requestAllocation(holder, { clusterId: home.id }, key);
  const { accessToken: token } = operator;
  const { revoked } = await expectJson<KeySet>(await call("GET", "/v1/admin/signing-keys", { token }), 200);
  const { kid = "" } = decodeProtectedHeader(allocation.ticket);
  if (revoked.includes(kid)) return void (await expectProblem(retried, "TICKET_REVOKED"));
  expect(await expectJson(retried, 200)).toEqual(allocation);
}

/** Rules 3 and 9: the cluster that holds the player saves; the one of before does not, whichever generation it names. */
async function expectOneAuthority({ home, left, older, newer, holder, operator, looks }: Witness): Promise<void> {
  const save = (generation: number) =>
    ({ type: "save", generation, version: looks, state: btoa(`save ${looks}`) }) as const;
  const { playerId, generation } = newer;
  const fence = { type: "fence", playerId, generation };
  expect(await askSession(left, playerId, save(older.generation))).toEqual([fence]);
  expect(await askSession(left, playerId, save(generation))).toEqual([fence]);
  expect(await askSession(home, playerId, save(generation))).toMatchObject([{ type: "saved", version: looks }]);
  // A join that nobody was given a ticket for moves nothing, and a cluster hears of no players but its own.
  const forged = { playerId, reservationId: "forged", generation: generation + 2 ** 20 };
  const told = await left.report({ players: 1, joined: [forged] });
  expect(JSON.stringify(told)).not.toContain(holder.player.id);
  const { accessToken: token } = operator;
  const seen = await expectJson<object>(await call("GET", `/v1/admin/players/${playerId}`, { token }), 200);
  expect(seen).toMatchObject({ playing: { clusterId: home.id } });
}
