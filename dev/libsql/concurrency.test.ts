import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@libsql/client";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type LibsqlServer, type LibsqlServerLimits, startLibsqlServer } from "./server.ts";
import { eventually } from "../../test/support/eventually.ts";

let folder: string;
let file: string;
let server: LibsqlServer;
let client: Client;

async function start(limits: Partial<LibsqlServerLimits> = {}): Promise<void> {
  server = await startLibsqlServer({ file, limits });
  client = createClient({ url: server.url });
  await client.execute("CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT)");
}

async function count(): Promise<unknown> {
  return (await client.execute("SELECT count(*) AS n FROM item")).rows[0]?.["n"];
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "libsql-concurrency-"));
  file = join(folder, "test.db");
});

afterEach(async () => {
  client.close();
  await server.close();
  await rm(folder, { recursive: true });
});

describe("a transaction that holds the write lock", () => {
  it("lets others read, and keeps those who write waiting until it commits", async () => {
    await start();
    const holder = await client.transaction("write");
    await holder.execute("INSERT INTO item (name) VALUES ('holder')");
    const order: string[] = [];
    // A client of their own: it has at most 20 requests under way at once.
    const other = createClient({ url: server.url });
    const writers = Array.from({ length: 20 }, (_, index) =>
      other
        .execute({ sql: "INSERT INTO item (name) VALUES (?)", args: [`writer ${index}`] })
        .then(() => order.push("writer")),
    );
    for (let reads = 0; reads < 5; reads += 1) expect(await count()).toBe(0);
    const reader = await client.transaction("read");
    await reader.execute("SELECT * FROM item");
    await reader.commit();
    order.push("commit");
    await holder.commit();
    await Promise.all(writers);
    expect(order).toEqual(["commit", ...Array.from({ length: 20 }, () => "writer")]);
    expect(await count()).toBe(21);
    other.close();
  });

  it("is rolled back after its time, so that nobody waits for ever, and learns of it", async () => {
    await start({ transactionMs: 100 });
    const forgotten = await client.transaction("write");
    await forgotten.execute("INSERT INTO item (name) VALUES ('forgotten')");
    await client.execute("INSERT INTO item (name) VALUES ('waited')");
    expect(await count()).toBe(1);
    const late = forgotten.execute("INSERT INTO item (name) VALUES ('late')");
    await expect(late).rejects.toMatchObject({ code: "TRANSACTION_TIMEOUT" });
    // Not even what comes after the error may run outside of the transaction.
    await expect(forgotten.execute("DELETE FROM item")).rejects.toMatchObject({ code: "TRANSACTION_TIMEOUT" });
    await expect(forgotten.commit()).rejects.toMatchObject({ code: "TRANSACTION_TIMEOUT" });
    expect(await count()).toBe(1);
  });

  it("makes a writer give up when the wait is over, and the writer's next try succeeds", async () => {
    await start({ lockWaitMs: 50 });
    const holder = await client.transaction("write");
    await holder.execute("INSERT INTO item (name) VALUES ('holder')");
    const impatient = client.execute("INSERT INTO item (name) VALUES ('impatient')");
    await expect(impatient).rejects.toMatchObject({ code: "SQLITE_BUSY" });
    await expect(client.transaction("write").then((other) => other.execute("SELECT 1"))).rejects.toMatchObject({
      code: "SQLITE_BUSY",
    });
    await holder.commit();
    // A connection that was busy once still commits.
    await Promise.all(Array.from({ length: 10 }, () => client.execute("INSERT INTO item (name) VALUES ('again')")));
    const witness = new Database(file);
    expect(witness.prepare("SELECT count(*) AS n FROM item").get()).toMatchObject({ n: 11 });
    witness.close();
  });
});

describe("concurrent writers", () => {
  it("lose no update in interactive transactions", async () => {
    await start();
    await client.execute("INSERT INTO item (id, name) VALUES (1, '0')");
    const increment = async (): Promise<void> => {
      const tx = await client.transaction("write");
      const { rows } = await tx.execute("SELECT CAST(name AS INTEGER) AS n FROM item WHERE id = 1");
      await tx.execute({ sql: "UPDATE item SET name = ? WHERE id = 1", args: [String(Number(rows[0]?.["n"]) + 1)] });
      await tx.commit();
    };
    await Promise.all(Array.from({ length: 40 }, increment));
    expect((await client.execute("SELECT name FROM item")).rows[0]).toMatchObject({ name: "40" });
  });

  it("may both start deferred: the one whose view is outdated is told so, and can still roll back", async () => {
    await start();
    const first = await client.transaction("deferred");
    const second = await client.transaction("deferred");
    await first.execute("SELECT * FROM item");
    await second.execute("SELECT * FROM item");
    await first.execute("INSERT INTO item (name) VALUES ('first')");
    await first.commit();
    await expect(second.execute("INSERT INTO item (name) VALUES ('second')")).rejects.toMatchObject({
      code: "SQLITE_BUSY",
    });
    await second.rollback();
    await client.execute("INSERT INTO item (name) VALUES ('third')");
    expect(await count()).toBe(2);
  });

  it("in a deferred transaction wait for the lock as well", async () => {
    await start();
    const holder = await client.transaction("write");
    await holder.execute("INSERT INTO item (name) VALUES ('holder')");
    const deferred = await client.transaction("deferred");
    let settled = false;
    const waiting = deferred.execute("INSERT INTO item (name) VALUES ('deferred')").finally(() => (settled = true));
    expect(await count()).toBe(0);
    expect(settled).toBe(false);
    await holder.commit();
    await waiting;
    await deferred.commit();
    expect(await count()).toBe(2);
  });

  it("wait for a lock that another process holds", async () => {
    await start();
    const other = new Database(file);
    other.exec("BEGIN IMMEDIATE; INSERT INTO item (name) VALUES ('other')");
    const waiting = client.execute("INSERT INTO item (name) VALUES ('waiting')");
    expect(await count()).toBe(0);
    other.exec("COMMIT");
    await waiting;
    expect(await count()).toBe(2);
    other.close();
  });
});

describe("streams", () => {
  it("expire when nobody uses them, and their transaction with them", async () => {
    await start({ streamIdleMs: 50 });
    const idle = await client.transaction("write");
    await idle.execute("INSERT INTO item (name) VALUES ('idle')");
    await client.execute("INSERT INTO item (name) VALUES ('next')");
    await expect(idle.execute("SELECT 1")).rejects.toMatchObject({ code: "STREAM_EXPIRED" });
    expect(await count()).toBe(1);
  });

  it("are bounded in number, and free again when closed", async () => {
    await start({ maxStreams: 3 });
    const open = await Promise.all([1, 2, 3].map(() => client.transaction("read")));
    for (const tx of open) await tx.execute("SELECT 1");
    await expect(client.execute("SELECT 1")).rejects.toMatchObject({ code: "SERVER_ERROR", message: /503/ });
    await open[0]?.rollback();
    expect(await count()).toBe(0);
    for (const tx of open) tx.close();
  });

  it("of a client that went away while it waited let go of everything", async () => {
    await start({ maxStreams: 2 });
    const holder = await client.transaction("write");
    await holder.execute("INSERT INTO item (name) VALUES ('holder')");
    const gone = new AbortController();
    const request = fetch(`${server.url}/v2/pipeline`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      signal: gone.signal,
      body: JSON.stringify({
        requests: ["BEGIN IMMEDIATE", "INSERT INTO item (name) VALUES ('gone')"].map((sql) => ({
          type: "execute",
          stmt: { sql },
        })),
      }),
    });
    const failed = request.catch((cause: unknown) => cause);
    // The number of streams tells when it has come, and when it is gone.
    await eventually(() => expect(count()).rejects.toMatchObject({ message: /503/ }));
    gone.abort();
    expect(await failed).toMatchObject({ name: "AbortError" });
    await eventually(async () => expect(await count()).toBe(0));
    await holder.commit();
    await client.execute("INSERT INTO item (name) VALUES ('next')");
    const { rows } = await client.execute("SELECT name FROM item");
    expect(rows.map((row) => row["name"])).toEqual(["holder", "next"]);
  });
});

describe("closing the server", () => {
  it("ends waits and transactions, and loses nothing that was committed", async () => {
    await start();
    await client.execute("INSERT INTO item (name) VALUES ('committed')");
    const holder = await client.transaction("write");
    await holder.execute("INSERT INTO item (name) VALUES ('open')");
    const waiting = client.execute("INSERT INTO item (name) VALUES ('waiting')").catch((cause: unknown) => cause);
    expect(await count()).toBe(1);
    await server.close();
    expect(await waiting).toBeInstanceOf(Error);
    const after = new Database(file);
    expect(after.prepare("SELECT name FROM item").all()).toMatchObject([{ name: "committed" }]);
    after.exec("BEGIN IMMEDIATE; COMMIT");
    after.close();
  });
});
