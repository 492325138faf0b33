import { type LinkRevoke, maxRevokedPlayers, type RevocationReason } from "../../../protocol/index.ts";

/** An order to one cluster to end a player's sessions, as its shard keeps it. */
export interface Revocation {
  readonly playerId: string;
  readonly minGeneration: number;
  readonly reason: RevocationReason;
  /** Counts the changes of the shard's list. */
  readonly version: number;
}

/**
 * The version up to which a cluster holds its shard's list. What it claims beyond the newest, another shard may have told it, or it
 * lies: then it is told everything.
 */
export function heldVersion(claimed: number | undefined, newest: number): number {
  return claimed === undefined || claimed > newest ? 0 : claimed;
}

/**
 * What a cluster is to be told that holds the list up to `held`: a chain without a gap, in messages of a bounded size.
 *
 * @param due in any order: what is newer than `held`, and what it still has not done although it says that it holds it
 */
export function revokeCommands(held: number, due: readonly Revocation[]): LinkRevoke[] {
  const ordered = due.toSorted((a, b) => a.version - b.version);
  const commands: LinkRevoke[] = [];
  let since = held;
  for (let start = 0; start < ordered.length; start += maxRevokedPlayers) {
    const part = ordered.slice(start, start + maxRevokedPlayers);
    const version = Math.max(since, part.at(-1)?.version ?? since);
    const players = part.map(({ playerId, minGeneration, reason }) => ({ playerId, minGeneration, reason }));
    commands.push({ type: "revoke", since, version, players });
    since = version;
  }
  return commands;
}

/** When a cluster is told again that has not said that it holds the list, after so many attempts. `random`: from 0 to 1. */
export function repeatDelayMs(attempts: number, random: number): number {
  return Math.ceil(Math.min(15_000, 1_000 * 2 ** Math.min(attempts, 10)) * (0.5 + random / 2));
}
