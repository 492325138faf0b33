import type { Authority } from "../../domain/players/authority.ts";
import { nextSessionGeneration } from "../../../protocol/handover/generation.ts";
import {
  type Operation,
  nextForgetAtMs,
  type OperationState,
  type OperationSummary,
} from "../../domain/allocation/operations.ts";
import { outboxSchema, outboxSourceSchema } from "../outbox.ts";
import { playerAuthoritySchema } from "./player-authority.ts";
import { playerErasedSchema, PlayerRow, playerRowSchema, type SessionRow } from "./player-row.ts";
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
  // What the name of the player's next operation is made of: see `reservationIdOf`.
  "ALTER TABLE session ADD COLUMN next_seed BLOB;",
  playerRowSchema,
  // A player's messages are of no source.
  "DROP INDEX outbox_by_source;",
  playerErasedSchema,
];

/** `summaryColumns` of a row. */
type SummaryRow = [
  key: string,
  bodyHash: string,
  reservationId: string,
  generation: number,
  state: OperationState,
  shard: string | null,
  queue: string | null,
  clusterId: string | null,
  expiresAt: number | null,
  recordedAtMs: number,
];

/** How an operation can end: nothing is asked of it any more but what became of it. */
type EndedState = Exclude<OperationState, "recorded" | "committed">;

const summaryColumns =
  "key, body_hash, reservation_id, generation, state, shard, queue, cluster_id, expires_at, recorded_at";

/** Replacing costs a third of what an `ON CONFLICT` does, which SQLite prepares anew in each object that wakes up. */
const storeOne = `INSERT OR REPLACE INTO operations (${summaryColumns}, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const storeTwo = `${storeOne}, (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

function summaryFromRow(row: SummaryRow): OperationSummary {
  const [key, bodyHash, reservationId, generation, state, shard, queue, clusterId, expiresAt, recordedAtMs] = row;
  return {
    key,
    bodyHash,
    reservationId,
    generation,
    state,
    shard: shard ?? undefined,
    queue: queue ?? undefined,
    clusterId: clusterId ?? undefined,
    expiresAt: expiresAt ?? undefined,
    recordedAtMs,
  };
}

function rowFromSummary(operation: OperationSummary): SummaryRow {
  const { key, bodyHash, reservationId, generation, state, shard, queue, clusterId, expiresAt, recordedAtMs } =
    operation;
  return [
    key,
    bodyHash,
    reservationId,
    generation,
    state,
    shard ?? null,
    queue ?? null,
    clusterId ?? null,
    expiresAt ?? null,
    recordedAtMs,
  ];
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
  /** The key of an operation that only memory has: see {@link draftOperation}. */
  #draft: string | undefined;
  readonly row: PlayerRow;

  constructor(storage: Pick<DurableObjectStorage, "sql" | "transactionSync">) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.row = new PlayerRow(storage.sql);
  }

  /** A step that is stored whole, or not at all. */
  atomically<T>(step: () => T): T {
    return this.#remembering(() => this.#storage.transactionSync(step));
  }

  /** A step of which a beginning may be stored, should something fail half way: it is in such an order that each is a state to go on from. */
  inOrder<T>(step: () => T): T {
    return this.#remembering(step);
  }

  #remembering<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      // What was undone, or never done, must not be remembered.
      this.#operations = undefined;
      this.#draft = undefined;
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
    this.#operations ??= this.#read();
    return this.#operations;
  }

  /** Reads rows as bare arrays: naming columns costs as much as the rest of this query, which runs whenever the object wakes. */
  #read(): Map<string, OperationSummary> {
    const rows = this.#sql.exec(`SELECT ${summaryColumns} FROM operations ORDER BY generation`).raw<SummaryRow>();
    return new Map(Array.from(rows, summaryFromRow).map((operation) => [operation.key, operation]));
  }

  /** What there is of an operation, if it is still there, has `change` from now on. */
  #change(key: string, change: Partial<OperationSummary>): void {
    this.keepDraft(key);
    const operation = this.#all().get(key);
    if (operation !== undefined) this.#store({ ...operation, ...change });
  }

  /**
   * Stores operations as they are now, in one statement: whole, or not at all.
   *
   * @param answer of `operation`
   * @param ended of which there is no answer any more
   */
  #store(operation: OperationSummary, answer: string | null = null, ended?: OperationSummary): void {
    const values = [...rowFromSummary(operation), answer];
    if (ended === undefined) this.#sql.exec(storeOne, ...values);
    else this.#sql.exec(storeTwo, ...values, ...rowFromSummary(ended), null);
    this.#all().set(operation.key, operation);
    if (ended !== undefined) this.#all().set(ended.key, ended);
  }

  /** A new one, newer than all others, with what changes in the row of the session. */
  addOperation(operation: OperationSummary, change: Partial<SessionRow>): void {
    if (this.#draft !== undefined) this.keepDraft(this.#draft);
    this.row.change(change);
    this.#store(operation);
  }

  /**
   * The same, but only in memory until something becomes of the operation, or {@link keepDraft}. To be used where nothing is lost with it should all
   * stop: made again from what is stored, it has the same generation and the same name.
   */
  draftOperation(operation: OperationSummary, change: Partial<SessionRow>): void {
    if (this.#draft !== undefined) this.keepDraft(this.#draft);
    this.row.defer(change);
    this.#all().set(operation.key, operation);
    this.#draft = operation.key;
  }

  /** Stores an operation of which only memory has something; one that is stored stays as it is. */
  keepDraft(key: string): void {
    this.inOrder(() => {
      const operation = this.#takeDraft(key);
      if (operation !== undefined) this.#store(operation);
    });
  }

  /** Whoever takes it, stores it. The row comes first: a generation that was skipped is nobody's, one that is there twice would be two's. */
  #takeDraft(key: string): OperationSummary | undefined {
    if (key !== this.#draft) return undefined;
    this.#draft = undefined;
    this.row.keep();
    return this.#all().get(key);
  }

  /** An operation has come to a ticket, and older ones to their end with it. Both as {@link operations} has them. */
  commitOperation(
    operation: OperationSummary,
    { answer, ...ticket }: { readonly clusterId: string; readonly expiresAt: number; readonly answer: string },
    superseded: readonly OperationSummary[],
  ): void {
    this.#takeDraft(operation.key);
    const [ended, ...more] = superseded.map((older) => ({ ...older, state: "cancelled" }) as const);
    this.#store({ ...operation, ...ticket, state: "committed" }, answer, ended);
    // There is seldom a second one.
    for (const older of more) this.#store(older);
  }

  /** The operation has come to its end: there is no answer to give any more. */
  endOperation(key: string, state: EndedState): void {
    this.#change(key, { state });
  }

  setOperationShard(key: string, shard: string): void {
    const operation = this.#all().get(key);
    if (operation?.state !== "recorded" || operation.shard === shard) return;
    if (key === this.#draft) this.#all().set(key, { ...operation, shard });
    else this.#change(key, { shard });
  }

  /** The operation waits in a queue: no shard has a seat for it. */
  setOperationQueue(key: string, queue: string): void {
    this.#change(key, { queue, shard: undefined });
  }

  deleteOperations(keys: readonly string[]): void {
    for (const key of keys) {
      const generation = this.#all().get(key)?.generation;
      if (generation === undefined) continue;
      this.keepDraft(key);
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

  /** A generation that no operation of this player has had: it opens a session. [HAND-2] */
  nextGeneration(): number {
    // What was stored before there were steps counts by one, far below the first session: it stays older than all that follow.
    return nextSessionGeneration(this.generation());
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
