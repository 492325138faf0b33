import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, type Config, createClient } from "@libsql/client";
import { createClient as createWebClient } from "@libsql/client/web";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type LibsqlServer, startLibsqlServer } from "./server.ts";

const authToken = "local-token";
let folder: string;
let server: LibsqlServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "libsql-server-"));
  server = await startLibsqlServer({ file: join(folder, "made", "on", "the", "way.db"), authToken });
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

const flavours: [string, (config: Config) => Client][] = [
  ["@libsql/client", createClient],
  ["@libsql/client/web", createWebClient],
];

describe.each(flavours)("%s against the local server", (_name, connect) => {
  let client: Client;

  beforeEach(async () => {
    client = connect({ url: server.url, authToken });
    await client.executeMultiple(`
      DROP TABLE IF EXISTS log;
      DROP TABLE IF EXISTS item;
      CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB, size);
      CREATE TABLE log (item INTEGER NOT NULL REFERENCES item(id), note TEXT);
    `);
  });

  afterEach(() => client.close());

  it("answers rows with names, declared types and values of every type", async () => {
    const result = await client.execute({
      sql: "SELECT ? AS n, ? AS t, ? AS f, 7 AS i, ? AS b, 1.0 AS one",
      args: [null, "té\u{1f600}xt", 2.5, new Uint8Array([0, 1, 255])],
    });
    expect(result.columns).toEqual(["n", "t", "f", "i", "b", "one"]);
    const row = result.rows[0];
    expect(row).toMatchObject({ n: null, t: "té\u{1f600}xt", f: 2.5, i: 7, one: 1 });
    expect(row?.["b"]).toEqual(new Uint8Array([0, 1, 255]).buffer);
    const typed = await client.execute("SELECT id, name FROM item");
    expect(typed.columnTypes).toEqual(["INTEGER", "TEXT"]);
  });

  it.each([[1], [2], [3], [4], [5]])("carries a blob of %i bytes, whatever the padding", async (length) => {
    const blob = crypto.getRandomValues(new Uint8Array(length));
    await client.execute({ sql: "INSERT INTO item (data) VALUES (?)", args: [blob] });
    const { rows } = await client.execute("SELECT data, typeof(data) AS type FROM item");
    expect(rows[0]).toMatchObject({ data: blob.buffer, type: "blob" });
  });

  it("keeps all 64 bits of an integer, in rows and in lastInsertRowid", async () => {
    const exact = connect({ url: server.url, authToken, intMode: "bigint" });
    const id = 2n ** 63n - 1n;
    const inserted = await exact.execute({
      sql: "INSERT INTO item (id, size) VALUES (?, ?)",
      args: [id, -(2n ** 63n)],
    });
    expect(inserted.lastInsertRowid).toBe(id);
    expect((await exact.execute("SELECT id, size FROM item")).rows[0]).toMatchObject({ id, size: -(2n ** 63n) });
    exact.close();
  });

  it("counts changed rows, also of statements that return rows", async () => {
    const inserted = await client.execute("INSERT INTO item (name) VALUES ('a'), ('b'), ('c') RETURNING id");
    expect(inserted.rows).toHaveLength(3);
    expect(inserted.rowsAffected).toBe(3);
    expect(inserted.lastInsertRowid).toBe(3n);
    expect((await client.execute("DELETE FROM item WHERE id > 1")).rowsAffected).toBe(2);
    const selected = await client.execute("SELECT * FROM item");
    expect(selected.rowsAffected).toBe(0);
    expect(selected.lastInsertRowid).toBeUndefined();
  });

  it("binds by name, with or without prefix, and by number", async () => {
    const named = await client.execute({
      sql: "SELECT :a AS a, @b AS b, $c AS c, :a AS d",
      args: { a: 1, "@b": 2, c: 3 },
    });
    expect(named.rows[0]).toMatchObject({ a: 1, b: 2, c: 3, d: 1 });
    const numbered = await client.execute({ sql: "SELECT ?2 AS x, ?1 AS y", args: ["one", "two"] });
    expect(numbered.rows[0]).toMatchObject({ x: "two", y: "one" });
  });

  it.each([
    ["SELECT ?, ?", [1], "ARGS_INVALID"],
    ["SELECT ?", [1, 2], "ARGS_INVALID"],
    ["SELECT :a", { b: 1 }, "ARGS_INVALID"],
    ["selec 1", [], "SQL_PARSE_ERROR"],
    ["SELECT (", [], "SQL_PARSE_ERROR"],
    ["SELECT 1; SELECT 2", [], "SQL_MANY_STATEMENTS"],
    ["-- nothing", [], "SQL_NO_STATEMENT"],
    ["SELECT * FROM missing", [], "SQLITE_UNKNOWN"],
    ["SELECT missing FROM item", [], "SQL_INPUT_ERROR"],
    ["SELECT abs(-9223372036854775808)", [], "SQLITE_UNKNOWN"],
    ["ATTACH 'other.db' AS other", [], "SQL_PARSE_ERROR"],
    ["INSERT INTO item (id) VALUES ('text')", [], "SQLITE_MISMATCH"],
  ])("answers %s with %j by an error", async (sql, args, code) => {
    await expect(client.execute({ sql, args })).rejects.toMatchObject({ name: "LibsqlError", code });
  });

  it("reports primary codes for broken constraints", async () => {
    await client.execute("INSERT INTO item (id, name) VALUES (1, 'a')");
    await expect(client.execute("INSERT INTO item (name) VALUES ('a')")).rejects.toMatchObject({
      code: "SQLITE_CONSTRAINT",
      message: "SQLITE_CONSTRAINT: SQLite error: UNIQUE constraint failed: item.name",
    });
    await expect(client.execute("INSERT INTO log (item) VALUES (99)")).rejects.toMatchObject({
      code: "SQLITE_CONSTRAINT",
    });
  });

  it("runs a batch as one transaction: all of it, or nothing", async () => {
    const results = await client.batch(
      [
        { sql: "INSERT INTO item (name) VALUES (?)", args: ["a"] },
        { sql: "INSERT INTO item (name) VALUES (?)", args: ["b"] },
        "SELECT count(*) AS n FROM item",
      ],
      "write",
    );
    expect(results[2]?.rows[0]).toMatchObject({ n: 2 });
    const broken = client.batch(
      ["INSERT INTO item (name) VALUES ('c')", "INSERT INTO item (name) VALUES ('a')"],
      "write",
    );
    await expect(broken).rejects.toMatchObject({ code: "SQLITE_CONSTRAINT" });
    expect((await client.execute("SELECT count(*) AS n FROM item")).rows[0]).toMatchObject({ n: 2 });
  });

  it("runs a long batch of one repeated statement, whose text is stored once", async () => {
    const rows = Array.from({ length: 500 }, (_, index) => ({
      sql: "INSERT INTO item (name) VALUES (?)",
      args: [`name ${index}`],
    }));
    await client.batch(rows, "write");
    expect((await client.execute("SELECT count(*) AS n FROM item")).rows[0]).toMatchObject({ n: 500 });
  });

  it("commits and rolls back interactive transactions", async () => {
    const kept = await client.transaction("write");
    await kept.execute("INSERT INTO item (name) VALUES ('kept')");
    await kept.commit();
    const dropped = await client.transaction("write");
    await dropped.execute("INSERT INTO item (name) VALUES ('dropped')");
    expect((await dropped.execute("SELECT count(*) AS n FROM item")).rows[0]).toMatchObject({ n: 2 });
    await dropped.rollback();
    const closed = await client.transaction("write");
    await closed.execute("INSERT INTO item (name) VALUES ('closed')");
    closed.close();
    const { rows } = await client.execute("SELECT name FROM item");
    expect(rows.map((row) => row["name"])).toEqual(["kept"]);
  });

  it("migrates with foreign keys off, and has them on again afterwards", async () => {
    await client.execute("INSERT INTO item (id) VALUES (1)");
    await client.execute("INSERT INTO log (item) VALUES (1)");
    await client.migrate(["DROP TABLE item", "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)"]);
    await expect(client.execute("INSERT INTO log (item) VALUES (2)")).rejects.toMatchObject({
      code: "SQLITE_CONSTRAINT",
    });
  });

  it("is refused with a wrong token, and without one", async () => {
    for (const token of ["wrong", undefined]) {
      const stranger = connect(token === undefined ? { url: server.url } : { url: server.url, authToken: token });
      await expect(stranger.execute("SELECT 1")).rejects.toMatchObject({ code: "SERVER_ERROR", message: /401/ });
      stranger.close();
    }
  });
});

describe("drizzle against the local server", () => {
  const player = sqliteTable("player", {
    id: integer().primaryKey(),
    name: text().notNull().unique(),
    seenAt: integer({ mode: "timestamp_ms" }),
    tags: text({ mode: "json" }).$type<string[]>(),
  });
  const client = (): Client => createClient({ url: server.url, authToken });

  beforeEach(async () => {
    const db = drizzle(client());
    await db.run(sql`DROP TABLE IF EXISTS player`);
    await db.run(
      sql`CREATE TABLE player (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, seen_at INTEGER, tags TEXT)`,
    );
  });

  it("inserts, updates, selects and upserts", async () => {
    const db = drizzle(client(), { casing: "snake_case" });
    const seenAt = new Date(1_700_000_000_123);
    const [inserted] = await db
      .insert(player)
      .values({ name: "ada", seenAt, tags: ["x"] })
      .returning();
    expect(inserted).toEqual({ id: 1, name: "ada", seenAt, tags: ["x"] });
    await db
      .insert(player)
      .values({ name: "ada", tags: ["y"] })
      .onConflictDoUpdate({ target: player.name, set: { tags: ["z"] } });
    expect(await db.select().from(player)).toEqual([{ id: 1, name: "ada", seenAt, tags: ["z"] }]);
  });

  it("batches, and undoes a transaction that throws", async () => {
    const db = drizzle(client(), { casing: "snake_case" });
    await db.batch([db.insert(player).values({ name: "a" }), db.insert(player).values({ name: "b" })]);
    const failing = db.transaction(async (tx) => {
      await tx.insert(player).values({ name: "c" });
      await tx.insert(player).values({ name: "a" });
    });
    await expect(failing).rejects.toMatchObject({ cause: { code: "SQLITE_CONSTRAINT" } });
    await db.transaction(async (tx) => {
      await tx.insert(player).values({ name: "d" });
    });
    expect((await db.select({ name: player.name }).from(player)).map(({ name }) => name)).toEqual(["a", "b", "d"]);
  });
});

describe("startLibsqlServer", () => {
  it("keeps the data for the next start, on a port of one's choice", async () => {
    const file = join(folder, "kept.db");
    const first = await startLibsqlServer({ file });
    await createClient({ url: first.url }).executeMultiple("CREATE TABLE a (b); INSERT INTO a VALUES (42)");
    await first.close();
    await first.close();
    const second = await startLibsqlServer({ file, port: Number(new URL(first.url).port) });
    expect(second.url).toBe(first.url);
    expect((await createClient({ url: second.url }).execute("SELECT b FROM a")).rows[0]).toMatchObject({ b: 42 });
    await second.close();
  });

  it("says in one line that the port is taken", async () => {
    const port = Number(new URL(server.url).port);
    await expect(startLibsqlServer({ file: join(folder, "other.db"), port })).rejects.toThrow(
      `the local libSQL server cannot listen on 127.0.0.1:${port}: the port is taken. Stop what uses it, or choose another.`,
    );
  });

  it("says which file it cannot open", async () => {
    await expect(startLibsqlServer({ file: folder })).rejects.toThrow(`cannot open the database ${folder}`);
  });
});
