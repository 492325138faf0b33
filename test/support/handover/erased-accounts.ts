import type { DatabaseAddress } from "../../../control-plane/store/database.ts";
import { listAllocations } from "../../../control-plane/store/history.ts";
import { findPlayer } from "../../../control-plane/store/players.ts";
import { findSave } from "../../../control-plane/store/saves.ts";
import { eventually } from "../eventually.ts";

/** Accounts that were deleted: their records go, and do not come back. */
export class ErasedAccounts {
  readonly #playerIds = new Set<string>();
  /** Those of which nothing was left once. */
  readonly #gone = new Set<string>();

  add(playerId: string): void {
    this.#playerIds.add(playerId);
  }

  /** Resolves when nothing of any of them is on record. @throws Error with what is, or has come back */
  async check(database: DatabaseAddress): Promise<void> {
    for (const playerId of this.#playerIds) {
      if (this.#gone.has(playerId)) await assertGone(database, playerId);
      else await eventually(() => assertGone(database, playerId));
      this.#gone.add(playerId);
    }
  }
}

async function assertGone(database: DatabaseAddress, playerId: string): Promise<void> {
  const [player, save, allocations] = await Promise.all([
    findPlayer(database, playerId),
    findSave(database, playerId),
    listAllocations(database, { playerId, limit: 1, nowMs: Date.now() }),
  ]);
  if (player === undefined && save === undefined && allocations.length === 0) return;
  throw new Error(`of ${playerId}, who is deleted, there is ${JSON.stringify({ player, save, allocations })}`);
}
