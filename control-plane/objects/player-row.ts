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
}

interface StoredRow extends SessionRow, Record<string, SqlStorageValue> {}

const columns =
  "generation, authority_generation, authority_cluster, authority_shard, costs, party, party_key, saved_fragment";

/** The row of a player's session. It is read once and remembered: nothing else writes it, and an object that wakes up needs most of it. */
export class PlayerRow {
  readonly #sql: SqlStorage;
  #known: SessionRow | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get values(): SessionRow {
    return (this.#known ??= this.#sql.exec<StoredRow>(`SELECT ${columns} FROM session`).one());
  }

  /** Writes these columns, in one statement. */
  change(change: Partial<SessionRow>): void {
    const before = this.values;
    const assignments = Object.keys(change).map((name) => `${name} = ?`);
    this.#sql.exec(`UPDATE session SET ${assignments.join(", ")}`, ...Object.values(change));
    this.#known = { ...before, ...change };
  }

  /** What was written last may have been undone. */
  forget(): void {
    this.#known = undefined;
  }
}
