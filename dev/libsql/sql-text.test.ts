import { describe, expect, it } from "vitest";
import { StatementFault } from "./fault.ts";
import { parseStatement, parseStatements } from "./sql-text.ts";

describe("parseStatements", () => {
  it("splits at semicolons, but not at those in strings, names and comments", () => {
    const sql = `SELECT ';', "a;b", [c;d], \`e;f\` -- ; not here
      ; /* ; nor ; here */ SELECT 'it''s; fine';;
      SELECT 3`;
    expect(parseStatements(sql).map((statement) => statement.sql)).toEqual([
      `SELECT ';', "a;b", [c;d], \`e;f\``,
      "SELECT 'it''s; fine'",
      "SELECT 3",
    ]);
  });

  it("keeps a trigger with its body together, CASE and all", () => {
    const trigger =
      "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET c = CASE WHEN 1 THEN 2 END; DELETE FROM d; END";
    expect(parseStatements(`${trigger}; SELECT 1`).map((statement) => statement.sql)).toEqual([trigger, "SELECT 1"]);
  });

  it("finds nothing in blanks and comments", () => {
    expect(parseStatements(" ;; -- x\n /* y */ ;")).toEqual([]);
  });

  it("takes a string that never ends as one piece, without hanging", () => {
    const text = `SELECT '${"a;".repeat(500_000)}`;
    expect(parseStatements(text)).toHaveLength(1);
  });
});

describe("parseStatement", () => {
  it.each([
    ["SELECT 1", "read"],
    ["values (1)", "read"],
    ["WITH a AS (SELECT 1) SELECT * FROM a", "read"],
    ["WITH a AS (DELETE) INSERT INTO b SELECT * FROM a", "write"],
    ["replace into a values (1)", "write"],
    ["CREATE TABLE a (b)", "write"],
    ["EXPLAIN INSERT INTO a VALUES (1)", "read"],
    ["EXPLAIN QUERY PLAN DELETE FROM a", "read"],
    ["begin immediate", "transaction"],
    ["ROLLBACK TO x", "transaction"],
    ["PRAGMA table_info(a)", "pragma"],
    ["PRAGMA main.user_version", "pragma"],
    ["PRAGMA foreign_keys = off", "setting"],
    ["PRAGMA journal_mode", "pragma"],
    ["selec 1", "unknown"],
  ])("says what %s does", (sql, kind) => {
    expect(parseStatement(sql).kind).toBe(kind);
  });

  it.each([
    ["", "SQL_NO_STATEMENT"],
    ["SELECT 1; SELECT 2", "SQL_MANY_STATEMENTS"],
    ["ATTACH '/etc/passwd' AS x", "SQL_PARSE_ERROR"],
    ["VACUUM INTO '/tmp/x'", "SQL_PARSE_ERROR"],
    ["CREATE TEMP TABLE a (b)", "SQL_PARSE_ERROR"],
    ['CREATE TABLE "temp".a (b)', "SQL_PARSE_ERROR"],
    ["PRAGMA journal_mode = DELETE", "SQL_PARSE_ERROR"],
    ["EXPLAIN PRAGMA journal_mode = DELETE", "SQL_PARSE_ERROR"],
    ["PRAGMA temp_store_directory = '/'", "SQL_PARSE_ERROR"],
  ])("refuses %j", (sql, code) => {
    let thrown: unknown;
    try {
      parseStatement(sql);
    } catch (cause) {
      thrown = cause;
    }
    expect(thrown).toBeInstanceOf(StatementFault);
    expect(thrown).toMatchObject({ code });
  });

  it("numbers parameters as SQLite does", () => {
    const sql = "SELECT ?, ?3, :name, $name, :name, @at, '?', \":quoted\" -- :comment";
    expect(parseStatement(sql).parameters).toEqual([undefined, undefined, "?3", ":name", "$name", "@at"]);
  });
});
