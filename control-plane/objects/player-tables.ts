import type { Authority } from "../domain/authority.ts";
import { nextSessionGeneration } from "../../protocol/handover/generation.ts";
import { type Operation, nextForgetAtMs, type OperationState, type OperationSummary } from "../domain/operations.ts";
import { outboxSchema, outboxSourceSchema } from "./outbox.ts";
import { playerAuthoritySchema } from "./player-authority.ts";
import { PlayerRow, type SessionRow } from "./player-row.ts";
import { playerOrdersSchema, playerRevocationSchema } from "./player-revocation.ts";

/** Append-only: see `migrateStorage`. `expires_at` is in seconds, as in the ticket; other times in milliseconds. */
export const playerMigrations: readonly string[] = [
  `
  CREATE TABLE session (
    generation INTEGER NOT NULL,
    authority_generation INTEGER,
    authority_cluster TEXT,
    authority_shard TEXT
  ) STRICT;
  INSERT INTO session (generation) VALUES (0);

  CREATE TABLE operations (
    key TEXT PRIMARY KEY,
    body_hash TEXT NOT NULL,
    reservation_id TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    shard TEXT,
    cluster_id TEXT,
    expires_at INTEGER,
    answer TEXT,
    recorded_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  ${outboxSchema}
  `,
  // What the player has asked for lately: see PlayerCosts.
  "ALTER TABLE session ADD COLUMN costs TEXT NOT NULL DEFAULT '';",
  outboxSourceSchema,
  // The queue of the waiting room to which an operation has been.
  "ALTER TABLE operations ADD COLUMN queue TEXT;",
  // The party that the player is, or was last, in.
  "ALTER TABLE session ADD COLUMN party TEXT;",
  playerRevocationSchema,
  playerAuthoritySchema,
  // With which key the player has asked for seats for a party last.
  "ALTER TABLE session ADD COLUMN party_key TEXT;",
  // By generation, which no two share, and without an index: what an allocation writes lies together at the end. Keys are looked up in
  // memory. Only a ticket that can be used keeps its answer.
  `
  ALTER TABLE operations RENAME TO operations_by_key;
  CREATE TABLE operations (
    generation INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    reservation_id TEXT NOT NULL,
    state TEXT NOT NULL,
    shard TEXT,
    queue TEXT,
    cluster_id TEXT,
    expires_at INTEGER,
    answer TEXT,
    recorded_at INTEGER NOT NULL
  ) STRICT;
  INSERT INTO operations (generation, key, body_hash, reservation_id, state, shard, queue, cluster_id, expires_at, answer, recorded_at)
    SELECT generation, key, body_hash, reservation_id, state, shard, queue, cluster_id, expires_at,
      iif(state = 'committed', answer, NULL), recorded_at FROM operations_by_key;
  DROP TABLE operations_by_key;
  `,
  playerOrdersSchema,
  // The fragment in which the player was saved last: see `savedFragment`. Of what was saved before, it is not known.
  "ALTER TABLE session ADD COLUMN saved_fragment TEXT;",
];

interface SummaryRow extends Record<string, SqlStorageValue> {
  key: string;
  body_hash: string;
  reservation_id: string;
  generation: number;
  state: OperationState;
  shard: string | null;
  queue: string | null;
  cluster_id: string | null;
  expires_at: number | null;
  recorded_at: number;
}

/** How an operation can end: nothing is asked of it any more but what became of it. */
type EndedState = Exclude<OperationState, "recorded" | "committed">;

const summaryColumns =
  "key, body_hash, reservation_id, generation, state, shard, queue, cluster_id, expires_at, recorded_at";

function summaryFromRow(row: SummaryRow): OperationSummary {
  return {
    key: row.key,
    bodyHash: row.body_hash,
    reservationId: row.reservation_id,
    generation: row.generation,
    state: row.state,
    shard: row.shard ?? undefined,
    queue: row.queue ?? undefined,
    clusterId: row.cluster_id ?? undefined,
    expiresAt: row.expires_at ?? undefined,
    recordedAtMs: row.recorded_at,
  };
}

/**
 * The SQL of a player's session: rows in, rows out, no rules. Which operations there are is remembered: this object alone writes them,
 * they are few, and an allocation looks through all of them several times.
 */
export class PlayerTables {
  readonly #storage: Pick<DurableObjectStorage, "sql" | "transactionSync">;
  readonly #sql: SqlStorage;
  /** By key, the oldest first; without their answers, which are long. */
  #operations: Map<string, OperationSummary> | undefined;
  readonly row: PlayerRow;

  constructor(storage: Pick<DurableObjectStorage, "sql" | "transactionSync">) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.row = new PlayerRow(storage.sql);
  }

  /** A step that is stored whole, or not at all. */
  atomically<T>(step: () => T): T {
    try {
      return this.#storage.transactionSync(step);
    } catch (error) {
      // What was undone must not be remembered.
      this.#operations = undefined;
      this.row.forget();
      throw error;
    }
  }

  operation(key: string): Operation | undefined {
    const summary = this.#all().get(key);
    if (summary === undefined) return undefined;
    if (summary.state !== "committed") return { ...summary, answer: undefined };
    const { answer } = this.#sql
      .exec<{ answer: string | null }>("SELECT answer FROM operations WHERE generation = ?", summary.generation)
      .one();
    return { ...summary, answer: answer ?? undefined };
  }

  operationOf(reservationId: string): OperationSummary | undefined {
    return this.operations().find((operation) => operation.reservationId === reservationId);
  }

  /** All of them, the oldest first. */
  operations(): OperationSummary[] {
    return [...this.#all().values()];
  }

  #all(): Map<string, OperationSummary> {
    this.#operations ??= new Map(
      this.#sql
        .exec<SummaryRow>(`SELECT ${summaryColumns} FROM operations ORDER BY generation`)
        .toArray()
        .map((row) => [row.key, summaryFromRow(row)]),
    );
    return this.#operations;
  }

  /** What is stored with these values, if it is still there, has `change` from now on. */
  #change(key: string, change: Partial<OperationSummary>, assignments: string, ...values: SqlStorageValue[]): void {
    const all = this.#all();
    const summary = all.get(key);
    if (summary === undefined) return;
    this.#sql.exec(`UPDATE operations SET ${assignments} WHERE generation = ?`, ...values, summary.generation);
    all.set(key, { ...summary, ...change });
  }

  /** A new one, newer than all others. */
  addOperation(operation: OperationSummary): void {
    this.#sql.exec(
      `INSERT INTO operations (key, body_hash, reservation_id, generation, state, shard, queue, cluster_id,
         expires_at, answer, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)`,
      operation.key,
      operation.bodyHash,
      operation.reservationId,
      operation.generation,
      operation.state,
      operation.shard ?? null,
      operation.queue ?? null,
      operation.clusterId ?? null,
      operation.expiresAt ?? null,
      operation.recordedAtMs,
    );
    this.#all().set(operation.key, operation);
  }

  /**
   * An operation has come to a ticket, and another one, if there is one, to its end with it: one statement writes both, whole or
   * not at all.
   */
  commitOperation(
    { key, generation }: OperationSummary,
    ticket: { readonly clusterId: string; readonly expiresAt: number; readonly answer: string },
    cancelled: OperationSummary | undefined,
  ): void {
    const { clusterId, expiresAt, answer } = ticket;
    const all = this.#all();
    this.#sql.exec(
      `UPDATE operations SET
         state = iif(generation = ?1, 'committed', 'cancelled'),
         cluster_id = iif(generation = ?1, ?2, cluster_id),
         expires_at = iif(generation = ?1, ?3, expires_at),
         answer = iif(generation = ?1, ?4, NULL)
       WHERE generation IN (?1, ?5)`,
      generation,
      clusterId,
      expiresAt,
      answer,
      cancelled?.generation ?? generation,
    );
    for (const [of, change] of [
      [key, { state: "committed", clusterId, expiresAt }],
      [cancelled?.key, { state: "cancelled" }],
    ] as const) {
      const before = of === undefined ? undefined : all.get(of);
      if (before !== undefined) all.set(before.key, { ...before, ...change });
    }
  }

  /** The operation has come to its end: there is no answer to give any more. */
  endOperation(key: string, state: EndedState): void {
    this.#change(key, { state }, "state = ?, answer = NULL", state);
  }

  setOperationShard(key: string, shard: string): void {
    if (this.#all().get(key)?.shard !== shard) this.#change(key, { shard }, "shard = ?", shard);
  }

  /** The operation waits in a queue: no shard has a seat for it. */
  setOperationQueue(key: string, queue: string): void {
    this.#change(key, { queue, shard: undefined }, "queue = ?, shard = NULL", queue);
  }

  deleteOperations(keys: readonly string[]): void {
    for (const key of keys) {
      const generation = this.#all().get(key)?.generation;
      if (generation === undefined) continue;
      this.#sql.exec("DELETE FROM operations WHERE generation = ?", generation);
      this.#all().delete(key);
    }
  }

  /** When the first operation may be forgotten, in ms; `undefined` without operations. */
  nextForgetAtMs(): number | undefined {
    return nextForgetAtMs(this.operations());
  }

  /** The greatest generation that any operation of this player had; 0: none. */
  generation(): number {
    return this.row.values.generation;
  }

  /** A generation that no earlier operation of this player had: it opens a session. [HAND-2] `change`: what is written with it. */
  nextGeneration(change: Partial<SessionRow> = {}): number {
    // What was stored before there were steps counts by one, far below the first session: it stays older than all that follow.
    const generation = nextSessionGeneration(this.generation());
    this.row.change({ generation, ...change });
    return generation;
  }

  partyKey(): string | undefined {
    return this.row.values.party_key ?? undefined;
  }

  setPartyKey(key: string): void {
    if (key !== this.partyKey()) this.row.change({ party_key: key });
  }

  party(): string | undefined {
    return this.row.values.party ?? undefined;
  }

  setParty(id: string | null): void {
    this.row.change({ party: id });
  }

  authority(): Authority | undefined {
    const { authority_generation: generation, authority_cluster: clusterId, authority_shard: shard } = this.row.values;
    if (generation === null || clusterId === null || shard === null) return undefined;
    return { generation, clusterId, shard };
  }
}
