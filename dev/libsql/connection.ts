import Database from "libsql";
import { statementFaultOf } from "./engine-fault.ts";
import { StatementFault } from "./fault.ts";
import type { HranaColumn, HranaStatementResult } from "./hrana.ts";
import type { SqlStatement } from "./sql-text.ts";
import { type SqlValue, type WireValue, encodeValue, wireSize } from "./value.ts";
import type { WriteQueue } from "./write-queue.ts";

export interface ConnectionLimits {
  /** How long a statement waits for the write lock. */
  readonly lockWaitMs: number;
  /** How long a transaction may stay open before it is rolled back, so that it cannot block the others for ever. */
  readonly transactionMs: number;
  /** A longer answer is refused. */
  readonly maxResponseBytes: number;
}

/** Takes the write lock inside an open transaction and changes nothing. */
const takeWriteLock = "PRAGMA incremental_vacuum(1)";
const emptyResult: HranaStatementResult = {
  cols: [],
  rows: [],
  affected_row_count: 0,
  last_insert_rowid: null,
  replication_index: null,
};

/**
 * One connection to the database file.
 *
 * The trap that shapes it: a prepared statement that met SQLITE_BUSY stays active until the garbage collector finds it,
 * and until then nothing on its connection commits. So the write lock is always taken through `exec`, which leaves no
 * statement behind, before a statement that writes is prepared; a reading statement that was busy is retried as the
 * same object.
 *
 * Known limits of the engine's binding: it ends the process when it reads text that is not UTF-8 (as CAST of a blob can
 * make), and it cuts text that it reads at a NUL character.
 */
export class EngineConnection {
  readonly #db: Database.Database;
  readonly #counters: Database.Statement;
  readonly #queue: WriteQueue;
  readonly #limits: ConnectionLimits;
  #open = true;
  #timedOut = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(file: string, queue: WriteQueue, limits: ConnectionLimits) {
    this.#db = new Database(file);
    this.#counters = this.#db
      .prepare("SELECT total_changes(), changes(), last_insert_rowid()")
      .raw(true)
      .safeIntegers(true);
    this.#queue = queue;
    this.#limits = limits;
  }

  /** The engine ends the process when a closed connection is asked. */
  get inTransaction(): boolean {
    return this.#open && this.#db.inTransaction;
  }

  /**
   * Runs one statement. Waits for the write lock where it needs it.
   * @throws StatementFault
   */
  async execute(
    statement: SqlStatement,
    values: readonly SqlValue[],
    wantRows: boolean,
    signal: AbortSignal,
  ): Promise<HranaStatementResult> {
    try {
      const attempt = this.#attemptOf(statement, values, wantRows);
      return await this.#queue.run(
        () => {
          this.#refuseAfterTimeout(statement);
          return attempt();
        },
        statement.takesWriteLock && !this.inTransaction,
        this.#limits.lockWaitMs,
        signal,
      );
    } catch (cause) {
      throw statementFaultOf(cause);
    } finally {
      this.#watchTransaction();
      if (!this.inTransaction) this.#queue.released();
    }
  }

  /** Columns that a statement would answer, without running it. @throws StatementFault */
  describe(statement: SqlStatement): HranaColumn[] {
    try {
      return columnsOf(this.#db.prepare(statement.sql));
    } catch (cause) {
      throw statementFaultOf(cause);
    }
  }

  /** Makes the connection as good as new for another stream. */
  reset(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timedOut = false;
    this.#rollback();
    this.#db.exec("PRAGMA foreign_keys = ON");
  }

  close(): void {
    if (!this.#open) return;
    clearTimeout(this.#timer);
    // Closing alone would not end the transaction: prepared statements keep the engine's side alive until they are
    // collected.
    this.#rollback();
    this.#open = false;
    this.#db.close();
  }

  #rollback(): void {
    if (!this.inTransaction) return;
    try {
      this.#db.exec("ROLLBACK");
    } catch {
      // Only a failing disk brings this about, and then SQLite has rolled back by itself.
    }
    this.#queue.released();
  }

  #attemptOf(statement: SqlStatement, values: readonly SqlValue[], wantRows: boolean): () => HranaStatementResult {
    const { sql, kind } = statement;
    if (kind === "transaction" || kind === "setting") {
      return () => {
        this.#db.exec(sql);
        return emptyResult;
      };
    }
    if (kind === "write") {
      return () => (this.inTransaction ? this.#write(sql, values, wantRows) : this.#writeAlone(sql, values, wantRows));
    }
    let prepared: Database.Statement | undefined;
    return () => {
      prepared ??= this.#db.prepare(sql);
      return this.#run(prepared, values, wantRows);
    };
  }

  #write(sql: string, values: readonly SqlValue[], wantRows: boolean): HranaStatementResult {
    this.#db.exec(takeWriteLock);
    return this.#run(this.#db.prepare(sql), values, wantRows);
  }

  #writeAlone(sql: string, values: readonly SqlValue[], wantRows: boolean): HranaStatementResult {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = this.#run(this.#db.prepare(sql), values, wantRows);
      this.#db.exec("COMMIT");
      return result;
    } finally {
      // Still open only after an error.
      if (this.inTransaction) this.#db.exec("ROLLBACK");
    }
  }

  #run(prepared: Database.Statement, values: readonly SqlValue[], wantRows: boolean): HranaStatementResult {
    const cols = columnsOf(prepared);
    const before = this.#readCounters().totalChanges;
    const rows: WireValue[][] = [];
    if (cols.length === 0) prepared.run([...values]);
    else {
      let bytes = 0;
      // To the last row, whatever happens: a statement that is left half way holds its locks.
      for (const row of prepared
        .raw(true)
        .safeIntegers(true)
        .iterate([...values])) {
        if (!wantRows || bytes > this.#limits.maxResponseBytes) continue;
        if (!Array.isArray(row)) throw new TypeError("the engine gave a row that is not a list");
        const encoded = row.map(encodeValue);
        bytes += encoded.reduce((sum, value) => sum + wireSize(value), 0);
        rows.push(encoded);
      }
      if (bytes > this.#limits.maxResponseBytes) {
        throw new StatementFault("RESPONSE_TOO_LARGE", "Response is too large");
      }
    }
    const after = this.#readCounters();
    const changed = after.totalChanges !== before;
    return {
      cols,
      rows,
      affected_row_count: changed ? after.changes : 0,
      last_insert_rowid: changed ? after.lastInsertRowid : null,
      replication_index: null,
    };
  }

  #readCounters(): { totalChanges: bigint; changes: number; lastInsertRowid: string } {
    const row: unknown = this.#counters.get();
    if (!Array.isArray(row)) throw new TypeError("the engine gave no counters");
    const [totalChanges, changes, lastInsertRowid]: unknown[] = row;
    return {
      totalChanges: BigInt(String(totalChanges)),
      changes: Number(changes),
      lastInsertRowid: String(lastInsertRowid),
    };
  }

  /** After a timeout nothing runs on, until the client has said ROLLBACK: it believes itself inside a transaction. */
  #refuseAfterTimeout(statement: SqlStatement): void {
    if (!this.#timedOut) return;
    if (statement.verb === "ROLLBACK") this.#timedOut = false;
    throw new StatementFault("TRANSACTION_TIMEOUT", "Transaction timed out");
  }

  #watchTransaction(): void {
    if (!this.inTransaction) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (!this.inTransaction) return;
      this.#timedOut = true;
      this.#rollback();
    }, this.#limits.transactionMs);
  }
}

function columnsOf(prepared: Database.Statement): HranaColumn[] {
  return prepared.columns().map(({ name, type }) => ({ name, decltype: type }));
}
