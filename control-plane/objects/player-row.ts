/** What a player's session is, in one row: generation and party, what was asked for lately, and where the newest session is. */
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
}

interface StoredRow extends SessionRow, Record<string, SqlStorageValue> {}

const columns =
  "generation, authority_generation, authority_cluster, authority_shard, costs, party, party_key, saved_fragment, next_seed";

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
    return (this.#known ??= this.#sql.exec<StoredRow>(`SELECT ${columns} FROM session`).one());
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
