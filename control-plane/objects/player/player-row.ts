import type { RevocationReason } from "../../../protocol/index.ts";

/**
 * Part of the schema of a player's session: in one row, all that an object which wakes up looks at, whatever it is asked. `floor` to `orders` were
 * a table of their own before, and `open_groups` was in `handover`. Times are milliseconds since 1970.
 */
export const playerRowSchema = `
  ALTER TABLE session RENAME TO session_before;
  CREATE TABLE session (
    generation INTEGER NOT NULL,
    authority_generation INTEGER,
    authority_cluster TEXT,
    authority_shard TEXT,
    costs TEXT NOT NULL,
    party TEXT,
    party_key TEXT,
    saved_fragment TEXT,
    next_seed BLOB,
    open_groups INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    floor_reason TEXT NOT NULL,
    floor_at INTEGER NOT NULL,
    signed_out_at INTEGER,
    ban_id TEXT,
    ban_reason TEXT,
    ban_until INTEGER,
    banned_at INTEGER,
    orders TEXT NOT NULL
  ) STRICT;
  INSERT INTO session SELECT generation, authority_generation, authority_cluster, authority_shard, costs, party, party_key,
    saved_fragment, next_seed, open_groups, floor, floor_reason, floor_at, signed_out_at, ban_id, ban_reason, ban_until,
    banned_at, orders FROM session_before, handover, revocation;
  DROP TABLE session_before;
  DROP TABLE revocation;
  ALTER TABLE handover DROP COLUMN open_groups;
`;

/** The next part of that schema. */
export const playerErasedSchema = `
  ALTER TABLE session ADD COLUMN erased_at INTEGER;
  ALTER TABLE session ADD COLUMN signed_out_before INTEGER;
`;

/**
 * What a player's session is, in one row: generation and party, what was asked for lately, where the newest session is, and what counts
 * against the player.
 */
export interface SessionRow {
  readonly generation: number;
  readonly authority_generation: number | null;
  readonly authority_cluster: string | null;
  readonly authority_shard: string | null;
  readonly costs: string;
  readonly party: string | null;
  readonly party_key: string | null;
  readonly saved_fragment: string | null;
  /** Drawn ahead for the next operation: see `reservationIdOf`. `null` where there was none since a release that drew none. */
  readonly next_seed: ArrayBuffer | null;
  /** How many groups have a decision of this session that some member has not confirmed. */
  readonly open_groups: number;
  /** The least generation that counts. */
  readonly floor: number;
  readonly floor_reason: RevocationReason;
  readonly floor_at: number;
  readonly signed_out_at: number | null;
  /** When the account was deleted last: then logins were ended by that. */
  readonly erased_at: number | null;
  /** The sign-out before that deletion, if there was one. */
  readonly signed_out_before: number | null;
  readonly ban_id: string | null;
  readonly ban_reason: string | null;
  readonly ban_until: number | null;
  readonly banned_at: number | null;
  /** Orders of late, JSON: see `stepOfOrder`. */
  readonly orders: string;
}

interface StoredRow extends SessionRow, Record<string, SqlStorageValue> {}

/** The row of a player's session. It is read once and remembered: nothing else writes it, and an object that wakes up needs most of it. */
export class PlayerRow {
  readonly #sql: SqlStorage;
  #known: SessionRow | undefined;
  /** What memory has, and the row may not. */
  #deferred: Partial<SessionRow> | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get values(): SessionRow {
    return (this.#known ??= this.#sql.exec<StoredRow>("SELECT * FROM session").one());
  }

  /** Writes these columns, in one statement. */
  change(change: Partial<SessionRow>): void {
    const after = { ...this.values, ...change };
    const assignments = Object.keys(change).map((name) => `${name} = ?`);
    this.#sql.exec(`UPDATE session SET ${assignments.join(", ")}`, ...Object.values(change));
    this.#known = after;
    // What is kept later must not undo this.
    if (this.#deferred !== undefined) this.#deferred = { ...this.#deferred, ...change };
  }

  /** Changes these columns in memory alone, until {@link keep}. */
  defer(change: Partial<SessionRow>): void {
    this.#known = { ...this.values, ...change };
    this.#deferred = { ...this.#deferred, ...change };
  }

  /** Writes what was deferred. */
  keep(): void {
    const deferred = this.#deferred;
    this.#deferred = undefined;
    if (deferred !== undefined) this.change(deferred);
  }

  /** What was written last may have been undone; what was deferred is given up. */
  forget(): void {
    this.#known = undefined;
    this.#deferred = undefined;
  }
}
