import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { nextSessionGeneration } from "../../protocol/handover/generation.ts";
import { playerMigrations } from "../../control-plane/objects/player-tables.ts";
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
});
