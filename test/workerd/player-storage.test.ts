import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { nextSessionGeneration } from "../../protocol/handover/generation.ts";
import { playerMigrations } from "../../control-plane/objects/player/player-tables.ts";
import { seatOf, startCluster } from "./support/clusters.ts";
import { expectProblem } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { leaveStorage } from "./support/storage.ts";

const versions = Array.from({ length: playerMigrations.length }, (_, index) => index + 1);

describe("a player's session as an earlier release has stored it", () => {
  it.each(versions)("goes on from version %i of its storage", async (version) => {
    const cluster = await startCluster();
    const player = await logIn();
    const session = env.PLAYER_SESSION.getByName(player.player.id);
    // Nothing has asked it yet, so it has stored nothing: this is what that release would have left.
    await leaveStorage(session, playerMigrations.slice(0, version), ({ sql }) => {
      sql.exec("UPDATE session SET generation = 3");
      sql.exec(
        `INSERT INTO operations (key, body_hash, reservation_id, generation, state, expires_at, answer, recorded_at)
         VALUES ('an-old-key', 'hash', 'an-old-reservation', 3, 'committed', ?, '{}', ?)`,
        Math.floor(Date.now() / 1_000) + 60,
        Date.now(),
      );
    });
    // The key still stands for what it stood for, and the next ticket is newer than all that were given.
    await expectProblem(await requestAllocation(player, {}, "an-old-key"), "IDEMPOTENCY_KEY_REUSED");
    const { ticket } = await allocate(player, { clusterId: cluster.id });
    expect(seatOf(player.player, ticket).generation).toBe(nextSessionGeneration(3));
    const { ticket: next } = await allocate(player, { clusterId: cluster.id });
    expect(seatOf(player.player, next).generation).toBe(2 * nextSessionGeneration(3));
  });

  it("[SEC-72] counts what was decided about the player before that had its place in the session's row", async () => {
    const player = await logIn();
    const session = env.PLAYER_SESSION.getByName(player.player.id);
    const known = { key: "an-order", content: "kick", answer: { minGeneration: 9 } };
    await leaveStorage(session, playerMigrations.slice(0, 12), ({ sql }) => {
      sql.exec("UPDATE session SET generation = 3, party = 'a-party', party_key = 'a-key', saved_fragment = 'meadow'");
      sql.exec("UPDATE session SET authority_generation = 2, authority_cluster = 'one', authority_shard = 'default.0'");
      sql.exec("UPDATE handover SET previous_generation = 1, save = NULL, open_groups = 2");
      sql.exec(
        `UPDATE revocation SET floor = 9, floor_reason = 'banned', floor_at = 5, signed_out_at = 6, ban_id = 'a-ban',
           ban_reason = 'cheating', ban_until = NULL, banned_at = 7, orders = ?`,
        JSON.stringify([known]),
      );
    });
    await expectProblem(await requestAllocation(player, {}), "BANNED");
    // As it is after waking: the stub from before has ended with the memory.
    await runInDurableObject(env.PLAYER_SESSION.getByName(player.player.id), (_, { storage }) => {
      expect(storage.sql.exec("SELECT * FROM session").one()).toEqual({
        generation: 3,
        authority_generation: 2,
        authority_cluster: "one",
        authority_shard: "default.0",
        costs: "",
        party: "a-party",
        party_key: "a-key",
        saved_fragment: "meadow",
        next_seed: null,
        open_groups: 2,
        floor: 9,
        floor_reason: "banned",
        floor_at: 5,
        signed_out_at: 6,
        erased_at: null,
        signed_out_before: null,
        ban_id: "a-ban",
        ban_reason: "cheating",
        ban_until: null,
        banned_at: 7,
        orders: JSON.stringify([known]),
      });
      expect(storage.sql.exec("SELECT * FROM handover").one()).toEqual({
        previous_generation: 1,
        rest: "{}",
        save: null,
      });
    });
  });
});
