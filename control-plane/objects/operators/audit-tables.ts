import { fittingTogether } from "../../domain/batch.ts";
import type { AuditRow } from "../../domain/operators/audit-chain.ts";
import { auditConditions, type AuditQuery } from "../../domain/operators/audit-query.ts";

/** Append-only: see `migrateStorage`. */
export const auditMigrations: readonly string[] = [
  `
  CREATE TABLE rows (
    sequence INTEGER PRIMARY KEY,
    atMs INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    details TEXT NOT NULL,
    requestId TEXT NOT NULL,
    outcome TEXT NOT NULL,
    intent INTEGER,
    previousHash TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;
  CREATE TABLE delivery (up_to INTEGER NOT NULL, attempts INTEGER NOT NULL) STRICT;
  INSERT INTO delivery (up_to, attempts) VALUES (0, 0);
  `,
];

type StoredRow = AuditRow & Record<string, SqlStorageValue>;

/** The SQL of the audit log: rows in, rows out, no rules. */
export class AuditTables {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The newest row. */
  last(): AuditRow | undefined {
    return this.#sql.exec<StoredRow>("SELECT * FROM rows ORDER BY sequence DESC LIMIT 1").toArray()[0];
  }

  /** The oldest row that is still here. */
  oldest(): number | undefined {
    return (
      this.#sql.exec<{ oldest: number | null }>("SELECT min(sequence) AS oldest FROM rows").one().oldest ?? undefined
    );
  }

  insert(row: AuditRow): void {
    this.#sql.exec(
      `INSERT INTO rows (sequence, atMs, actor, action, target, details, requestId, outcome, intent, previousHash, hash)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      row.sequence,
      row.atMs,
      row.actor,
      row.action,
      row.target,
      row.details,
      row.requestId,
      row.outcome,
      row.intent,
      row.previousHash,
      row.hash,
    );
  }

  select(query: AuditQuery): readonly AuditRow[] {
    const { where, bindings } = auditConditions(query);
    const order = query.order === "asc" ? "ASC" : "DESC";
    return this.#sql
      .exec<StoredRow>(`SELECT * FROM rows WHERE ${where} ORDER BY sequence ${order} LIMIT ?`, ...bindings, query.limit)
      .toArray();
  }

  /** Up to which row the database has all. */
  delivered(): { readonly upTo: number; readonly attempts: number } {
    return this.#sql.exec<{ upTo: number; attempts: number }>("SELECT up_to AS upTo, attempts FROM delivery").one();
  }

  setDelivered(upTo: number): void {
    this.#sql.exec("UPDATE delivery SET up_to = ?, attempts = 0", upTo);
  }

  noteFailedDelivery(): void {
    this.#sql.exec("UPDATE delivery SET attempts = attempts + 1");
  }

  /** The next rows that the database does not have yet: at most so many, and what goes together. */
  undelivered(limit: number): readonly AuditRow[] {
    const next = "FROM rows WHERE sequence > (SELECT up_to FROM delivery) ORDER BY sequence LIMIT ?";
    // All else in a row is short.
    const lengths = this.#sql.exec<{ bytes: number }>(`SELECT octet_length(details) AS bytes ${next}`, limit).toArray();
    const count = fittingTogether(lengths.map(({ bytes }) => bytes));
    return this.#sql.exec<StoredRow>(`SELECT * ${next}`, count).toArray();
  }

  /** Removes rows that the database has, but for the newest `keep`. */
  prune(keep: number): void {
    this.#sql.exec(
      "DELETE FROM rows WHERE sequence <= min((SELECT up_to FROM delivery), (SELECT max(sequence) FROM rows) - ?)",
      keep,
    );
  }
}
