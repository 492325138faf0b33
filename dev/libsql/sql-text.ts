import { StatementFault } from "./fault.ts";
import { type Token, tokenizeSql } from "./sql-token.ts";

/**
 * What a statement does to the connection that runs it:
 * - `read` and `pragma` answer rows and need no lock;
 * - `write` needs the write lock;
 * - `setting` is a pragma that changes the connection or the database header;
 * - `transaction` is BEGIN, COMMIT, END, ROLLBACK, SAVEPOINT or RELEASE;
 * - `unknown` starts with no word that SQL knows: the engine says what is wrong with it.
 */
export type StatementKind = "read" | "pragma" | "write" | "setting" | "transaction" | "unknown";

export interface SqlStatement {
  readonly sql: string;
  readonly kind: StatementKind;
  /** First word, upper case, after EXPLAIN if there is one. */
  readonly verb: string;
  readonly explain: boolean;
  /** Whether it needs the database's one write lock from the start. */
  readonly takesWriteLock: boolean;
  /** Name of each parameter with its prefix, in order of index; `undefined` where it has none. */
  readonly parameters: readonly (string | undefined)[];
}

/** Splits SQL text at its semicolons and says of each statement what it does. */
export function parseStatements(sql: string): SqlStatement[] {
  const statements: SqlStatement[] = [];
  let current: Token[] = [];
  for (const token of tokenizeSql(sql)) {
    if (token.kind !== "semicolon" || isInsideTrigger(current)) current.push(token);
    else if (current.length > 0) {
      statements.push(describeStatement(sql, current));
      current = [];
    }
  }
  if (current.length > 0) statements.push(describeStatement(sql, current));
  return statements;
}

/** The one statement in the text; throws `StatementFault` when there is none, or more than one. */
export function parseStatement(sql: string): SqlStatement {
  const [statement, another] = parseStatements(sql);
  if (statement === undefined) {
    throw new StatementFault("SQL_NO_STATEMENT", "SQL string does not contain any statement");
  }
  if (another !== undefined) {
    throw new StatementFault("SQL_MANY_STATEMENTS", "SQL string contains more than one statement");
  }
  return statement;
}

/** CREATE TRIGGER holds statements of its own; it ends at `; END ;`, as for SQLite's sqlite3_complete. */
function isInsideTrigger(tokens: readonly Token[]): boolean {
  const words = tokens.slice(0, 6).map(wordOf);
  const first = explainLength(words);
  if (words[first] !== "CREATE") return false;
  const next = words[first + 1];
  const isTrigger = next === "TRIGGER" || ((next === "TEMP" || next === "TEMPORARY") && words[first + 2] === "TRIGGER");
  if (!isTrigger) return false;
  const last = tokens.at(-1);
  return last === undefined || wordOf(last) !== "END" || tokens.at(-2)?.kind !== "semicolon";
}

function describeStatement(sql: string, tokens: readonly Token[]): SqlStatement {
  const first = tokens[0];
  const last = tokens.at(-1);
  const text = first === undefined || last === undefined ? "" : sql.slice(first.start, last.end);
  const words = tokens.map(wordOf);
  const explained = explainLength(words);
  const verb = words[explained] ?? "";
  const kind = explained > 0 && verb !== "PRAGMA" ? "read" : kindOf(verb, tokens.slice(explained));
  return {
    sql: text,
    kind,
    verb,
    explain: explained > 0,
    takesWriteLock: kind === "write" || (verb === "BEGIN" && /^(IMMEDIATE|EXCLUSIVE)$/.test(words[1] ?? "")),
    parameters: parametersOf(tokens),
  };
}

function explainLength(words: readonly string[]): number {
  if (words[0] !== "EXPLAIN") return 0;
  return words[1] === "QUERY" && words[2] === "PLAN" ? 3 : 1;
}

function wordOf(token: Token): string {
  return token.kind === "word" ? token.text.toUpperCase() : "";
}

function kindOf(verb: string, tokens: readonly Token[]): StatementKind {
  switch (verb) {
    case "SELECT":
    case "VALUES":
      return "read";
    case "WITH":
      return kindOfWith(tokens);
    case "INSERT":
    case "REPLACE":
    case "UPDATE":
    case "DELETE":
    case "ALTER":
    case "DROP":
      return "write";
    case "CREATE":
      return kindOfCreate(tokens);
    case "BEGIN":
    case "COMMIT":
    case "END":
    case "ROLLBACK":
    case "SAVEPOINT":
    case "RELEASE":
      return "transaction";
    case "PRAGMA":
      return kindOfPragma(tokens);
    case "ATTACH":
    case "DETACH":
    case "VACUUM":
    case "ANALYZE":
    case "REINDEX":
      throw unsupported(`${verb} is not available over the libSQL protocol`);
    default:
      return "unknown";
  }
}

/** A common table expression is followed by the statement proper, outside of all parentheses. */
function kindOfWith(tokens: readonly Token[]): StatementKind {
  let depth = 0;
  for (const token of tokens) {
    if (token.kind === "open") depth += 1;
    else if (token.kind === "close") depth -= 1;
    else if (depth === 0) {
      const word = wordOf(token);
      if (word === "SELECT" || word === "VALUES") return "read";
      if (word === "INSERT" || word === "REPLACE" || word === "UPDATE" || word === "DELETE") return "write";
    }
  }
  return "unknown";
}

/** Temporary objects belong to one connection, and a stream's connection is not the client's to keep. */
function kindOfCreate(tokens: readonly Token[]): StatementKind {
  const [, second, ...rest] = tokens.slice(0, 10).map((token) => nameOf(token));
  const dot = rest.indexOf(".");
  if (second === "TEMP" || second === "TEMPORARY" || (dot > 0 && /^TEMP(ORARY)?$/.test(rest[dot - 1] ?? ""))) {
    throw unsupported("temporary tables, views and triggers are not available over the libSQL protocol");
  }
  return "write";
}

/** Pragmas that the real server lets through, by what may follow their name. */
const readPragmas = new Set(
  (
    "table_list index_list index_info table_info table_xinfo index_xinfo pragma_list compile_options database_list " +
    "function_list module_list encoding foreign_key_list foreign_key_check collation_list data_version freelist_count " +
    "integrity_check legacy_file_format page_count quick_check stats"
  ).split(" "),
);
const settablePragmas = new Set(["defer_foreign_keys", "foreign_keys", "user_version"]);
const bareReadPragmas = new Set(
  (
    "analysis_limit application_id auto_vacuum automatic_index busy_timeout cache_size cache_spill cell_size_check " +
    "checkpoint_fullfsync fullfsync hard_heap_limit journal_mode journal_size_limit legacy_alter_table locking_mode " +
    "max_page_count mmap_size page_size query_only read_uncommitted recursive_triggers reverse_unordered_selects " +
    "schema_version secure_delete soft_heap_limit synchronous temp_store threads trusted_schema wal_autocheckpoint"
  ).split(" "),
);

function kindOfPragma(tokens: readonly Token[]): StatementKind {
  const named = tokens[2]?.text === "." ? 3 : 1;
  const name = (tokens[named] === undefined ? "" : nameOf(tokens[named])).toLowerCase();
  const hasValue = tokens.length > named + 1;
  if (readPragmas.has(name)) return "pragma";
  if (settablePragmas.has(name)) return hasValue ? "setting" : "pragma";
  if (bareReadPragmas.has(name) && !hasValue) return "pragma";
  throw unsupported("this pragma is not available over the libSQL protocol");
}

function nameOf(token: Token): string {
  const text = token.kind === "quoted" ? token.text.slice(1, -1) : token.text;
  return text.toUpperCase();
}

function unsupported(what: string): StatementFault {
  return new StatementFault("SQL_PARSE_ERROR", `SQL string could not be parsed: unsupported statement: ${what}`);
}

/** Same numbering as SQLite: `?` takes the next index, `?N` is N, a name keeps the index of its first use. */
function parametersOf(tokens: readonly Token[]): (string | undefined)[] {
  const parameters: (string | undefined)[] = [];
  for (const { kind, text } of tokens) {
    if (kind !== "parameter") continue;
    if (text === "?") parameters.push(undefined);
    else if (!text.startsWith("?")) {
      if (!parameters.includes(text)) parameters.push(text);
    } else {
      const index = Number(text.slice(1));
      // Beyond SQLite's own bound the engine refuses the statement; nothing is allocated for it here.
      if (index < 1 || index > 32_766) continue;
      while (parameters.length < index) parameters.push(undefined);
      parameters[index - 1] = text;
    }
  }
  return parameters;
}
