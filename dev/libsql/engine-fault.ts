import { StatementFault } from "./fault.ts";

/** Primary result codes by number; the real server tells nothing finer. */
const primaryCodes: ReadonlyMap<number, string> = new Map([
  [2, "SQLITE_INTERNAL"],
  [3, "SQLITE_PERM"],
  [4, "SQLITE_ABORT"],
  [5, "SQLITE_BUSY"],
  [6, "SQLITE_LOCKED"],
  [7, "SQLITE_NOMEM"],
  [8, "SQLITE_READONLY"],
  [9, "SQLITE_INTERRUPT"],
  [10, "SQLITE_IOERR"],
  [11, "SQLITE_CORRUPT"],
  [12, "SQLITE_NOTFOUND"],
  [13, "SQLITE_FULL"],
  [14, "SQLITE_CANTOPEN"],
  [15, "SQLITE_PROTOCOL"],
  [17, "SQLITE_SCHEMA"],
  [18, "SQLITE_TOOBIG"],
  [19, "SQLITE_CONSTRAINT"],
  [20, "SQLITE_MISMATCH"],
  [21, "SQLITE_MISUSE"],
  [23, "SQLITE_AUTH"],
  [25, "SQLITE_RANGE"],
  [26, "SQLITE_NOTADB"],
]);

/**
 * Turns an error of the engine into the one that the real server would report for it. The real server parses SQL itself
 * before the engine sees it, and names SQLITE_ERROR "unknown".
 */
export function statementFaultOf(cause: unknown): unknown {
  if (!(cause instanceof Error) || !("rawCode" in cause) || typeof cause.rawCode !== "number") return cause;
  const { message } = cause;
  const code = primaryCodes.get(cause.rawCode & 0xff);
  if (code !== undefined) return new StatementFault(code, `SQLite error: ${message}`, { cause });
  if (/: syntax error$|^incomplete input$|^unrecognized token: /.test(message)) {
    return new StatementFault("SQL_PARSE_ERROR", `SQL string could not be parsed: ${message}`, { cause });
  }
  if (/^(no such column|no such function|ambiguous column name): /.test(message)) {
    return new StatementFault("SQL_INPUT_ERROR", `SQLite input error: ${message}`, { cause });
  }
  return new StatementFault("SQLITE_UNKNOWN", `SQLite error: ${message}`, { cause });
}
