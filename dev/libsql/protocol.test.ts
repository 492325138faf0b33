import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LibsqlServer, startLibsqlServer } from "./server.ts";

const maxBodyBytes = 65_536;
let folder: string;
let server: LibsqlServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "libsql-protocol-"));
  server = await startLibsqlServer({
    file: join(folder, "test.db"),
    limits: { maxBodyBytes, maxResponseBytes: 100_000 },
  });
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

function post(body: string, headers: Record<string, string> = {}, path = "/v2/pipeline"): Promise<Response> {
  const type = { "content-type": "application/json" };
  return fetch(server.url + path, { method: "POST", headers: { ...type, ...headers }, body });
}

interface Reply {
  readonly baton: string | null;
  readonly results: readonly unknown[];
}

function isReply(value: unknown): value is Reply {
  return typeof value === "object" && value !== null && "baton" in value && "results" in value;
}

async function pipeline(requests: readonly unknown[], baton: string | null = null, path?: string): Promise<Reply> {
  const response = await post(JSON.stringify({ baton, requests }), {}, path);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  const reply: unknown = JSON.parse(text);
  if (!isReply(reply)) throw new Error("not a pipeline's answer");
  return reply;
}

const execute = (sql: string, more: object = {}): unknown => ({ type: "execute", stmt: { sql, ...more } });
const close = { type: "close" };

describe("GET", () => {
  it.each([
    ["/health", 200],
    ["/v2", 200],
    ["/v3", 200],
    ["/v3-protobuf", 404],
    ["/v2/pipeline", 405],
    ["/", 404],
  ])("%s answers %i", async (path, status) => {
    expect((await fetch(server.url + path)).status).toBe(status);
  });
});

describe("POST /v2/pipeline", () => {
  it("answers a statement as the specification words it", async () => {
    const reply = await pipeline([execute("SELECT 1 AS i, 'x' AS t, 1.5, x'01', NULL"), close]);
    expect(reply).toEqual({
      baton: null,
      base_url: null,
      results: [
        {
          type: "ok",
          response: {
            type: "execute",
            result: {
              cols: ["i", "t", "1.5", "x'01'", "NULL"].map((name) => ({ name, decltype: null })),
              rows: [
                [
                  { type: "integer", value: "1" },
                  { type: "text", value: "x" },
                  { type: "float", value: 1.5 },
                  { type: "blob", base64: "AQ" },
                  { type: "null" },
                ],
              ],
              affected_row_count: 0,
              last_insert_rowid: null,
              replication_index: null,
            },
          },
        },
        { type: "ok", response: { type: "close" } },
      ],
    });
  });

  it.each(["AQ", "AQ=="])("takes the blob %s", async (base64) => {
    const reply = await pipeline([execute("SELECT hex(?)", { args: [{ type: "blob", base64 }] }), close]);
    expect(reply.results[0]).toMatchObject({ response: { result: { rows: [[{ value: "01" }]] } } });
  });

  it("goes on after a statement that failed", async () => {
    const reply = await pipeline([execute("SELECT missing"), execute("SELECT 1"), close]);
    expect(reply.results).toMatchObject([
      { type: "error", error: { code: "SQL_INPUT_ERROR", message: "SQLite input error: no such column: missing" } },
      { type: "ok" },
      { type: "ok" },
    ]);
  });

  it("leaves rows out when they are not wanted", async () => {
    const reply = await pipeline([execute("SELECT 1", { want_rows: false }), close]);
    expect(reply.results[0]).toMatchObject({ response: { result: { cols: [{ name: "1" }], rows: [] } } });
  });

  it("runs steps of a batch by their conditions", async () => {
    const step = (sql: string, condition?: object): object => ({ stmt: { sql }, condition });
    const steps = [
      step("SELECT 0"),
      step("SELECT missing"),
      step("SELECT 2", { type: "ok", step: 0 }),
      step("SELECT 3", { type: "ok", step: 1 }),
      step("SELECT 4", { type: "error", step: 1 }),
      step("SELECT 5", { type: "not", cond: { type: "ok", step: 3 } }),
      step("SELECT 6", {
        type: "and",
        conds: [
          { type: "ok", step: 0 },
          { type: "error", step: 3 },
        ],
      }),
      step("SELECT 7", {
        type: "or",
        conds: [
          { type: "ok", step: 3 },
          { type: "ok", step: 4 },
        ],
      }),
      step("SELECT 8", { type: "and", conds: [] }),
      step("SELECT 9", { type: "or", conds: [] }),
    ];
    const reply = await pipeline([{ type: "batch", batch: { steps } }, close]);
    const ran = (n: number): object => ({ rows: [[{ type: "integer", value: String(n) }]] });
    expect(reply.results[0]).toMatchObject({
      response: {
        type: "batch",
        result: {
          step_results: [ran(0), null, ran(2), null, ran(4), ran(5), null, ran(7), ran(8), null],
          step_errors: [null, { code: "SQL_INPUT_ERROR" }, null, null, null, null, null, null, null, null],
        },
      },
    });
  });

  it("runs a sequence, and stops it at the first error", async () => {
    const sql =
      "CREATE TABLE seq (a); INSERT INTO seq VALUES (1); INSERT INTO nowhere VALUES (1); INSERT INTO seq VALUES (2)";
    const reply = await pipeline([{ type: "sequence", sql }, execute("SELECT a FROM seq"), close]);
    expect(reply.results).toMatchObject([
      { type: "error", error: { code: "SQLITE_UNKNOWN" } },
      { response: { result: { rows: [[{ value: "1" }]] } } },
      { type: "ok" },
    ]);
  });

  it("describes without running", async () => {
    const reply = await pipeline([
      { type: "sequence", sql: "CREATE TABLE described (a INTEGER, b TEXT)" },
      { type: "describe", sql: "SELECT a, b AS x FROM described WHERE a = :a AND b = ?" },
      { type: "describe", sql: "EXPLAIN INSERT INTO described VALUES (1, 2)" },
      { type: "describe", sql: "INSERT INTO described VALUES (1, 2)" },
      execute("SELECT count(*) FROM described"),
      close,
    ]);
    expect(reply.results.slice(1, 5)).toMatchObject([
      {
        response: {
          result: {
            params: [{ name: ":a" }, { name: null }],
            cols: [
              { name: "a", decltype: "INTEGER" },
              { name: "x", decltype: "TEXT" },
            ],
            is_explain: false,
            is_readonly: true,
          },
        },
      },
      { response: { result: { is_explain: true, is_readonly: true } } },
      { response: { result: { is_explain: false, is_readonly: false } } },
      { response: { result: { rows: [[{ value: "0" }]] } } },
    ]);
  });

  it("stores texts for a stream, within bounds", async () => {
    const stored = { type: "store_sql", sql_id: 1, sql: "SELECT 'stored'" };
    const opened = await pipeline([stored, { type: "execute", stmt: { sql_id: 1 } }]);
    expect(opened.results[1]).toMatchObject({ response: { result: { rows: [[{ value: "stored" }]] } } });
    const full = await pipeline(
      [
        ...Array.from({ length: 50 }, (_, index) => ({ ...stored, sql_id: index + 2 })),
        { type: "close_sql", sql_id: 1 },
        { type: "store_sql", sql_id: 60, sql: "x".repeat(5_001) },
        stored,
        close,
      ],
      opened.baton,
    );
    expect(full.results.slice(48)).toMatchObject([
      { type: "ok" },
      { type: "error", error: { code: "SQL_STORE_TOO_MANY" } },
      { type: "ok" },
      { type: "error", error: { code: "SQL_STORE_TOO_LARGE" } },
      { type: "ok" },
      { type: "ok" },
    ]);
  });

  it("asks for autocommit in version 3 only", async () => {
    const requests = [execute("BEGIN"), { type: "get_autocommit" }, close];
    const reply = await pipeline(requests, null, "/v3/pipeline");
    expect(reply.results[1]).toEqual({ type: "ok", response: { type: "get_autocommit", is_autocommit: false } });
    expect((await post(JSON.stringify({ requests }))).status).toBe(400);
  });

  it("refuses an answer over the bound, and not one under it", async () => {
    const rows = (count: number): unknown =>
      execute(`WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT ${count}) SELECT i FROM n`);
    const reply = await pipeline([rows(2_000), rows(3_000), execute("SELECT 1"), close]);
    expect(reply.results).toMatchObject([
      { type: "ok" },
      { type: "error", error: { code: "RESPONSE_TOO_LARGE" } },
      { type: "ok" },
      { type: "ok" },
    ]);
  });
});

describe("batons", () => {
  it("carry a transaction from request to request, each once", async () => {
    const first = await pipeline([execute("BEGIN"), execute("CREATE TABLE carried (a)")]);
    const second = await pipeline([execute("INSERT INTO carried VALUES (1)")], first.baton);
    expect(second.baton).not.toBe(first.baton);
    const reused = await post(JSON.stringify({ baton: first.baton, requests: [] }));
    expect([reused.status, await reused.text()]).toEqual([400, "Received a baton that has already been used"]);
    const third = await pipeline([execute("COMMIT"), execute("SELECT a FROM carried"), close], second.baton);
    expect(third).toMatchObject({ baton: null, results: [{ type: "ok" }, { type: "ok" }, { type: "ok" }] });
    const closed = await post(JSON.stringify({ baton: second.baton, requests: [] }));
    expect([closed.status, await closed.text()]).toEqual([400, "Received an invalid baton"]);
  });

  it("cannot be forged, nor used twice at once", async () => {
    const { baton } = await pipeline([]);
    const [id = "", sequence = "", signature = ""] = (baton ?? "").split(".");
    for (const forged of [
      "",
      "x",
      `${id}.${Number(sequence) + 1}.${signature}`,
      `${id}.${sequence}.`,
      "..",
      "a.0.AAAA",
    ]) {
      expect((await post(JSON.stringify({ baton: forged, requests: [] }))).status, forged).toBe(400);
    }
    const body = JSON.stringify({ baton, requests: [close] });
    const statuses = await Promise.all([post(body), post(body)].map(async (response) => (await response).status));
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 400]);
  });

  it("of a stream are gone after a protocol error on it", async () => {
    const { baton } = await pipeline([execute("BEGIN IMMEDIATE")]);
    const failed = await post(JSON.stringify({ baton, requests: [{ type: "execute", stmt: { sql_id: 9 } }] }));
    expect([failed.status, await failed.text()]).toEqual([400, "SQL text 9 not found"]);
    // The transaction is over as well: another one gets the lock.
    await pipeline([execute("BEGIN IMMEDIATE"), close]);
  });
});

describe("malformed requests", () => {
  const deep = (depth: number): string =>
    `${'{"type":"not","cond":'.repeat(depth)}{"type":"ok","step":0}${"}".repeat(depth)}`;
  const batchOf = (condition: string): string =>
    `{"requests":[{"type":"batch","batch":{"steps":[{"stmt":{"sql":"SELECT 1"},"condition":${condition}}]}}]}`;
  const args = (value: string): string =>
    `{"requests":[{"type":"execute","stmt":{"sql":"SELECT ?","args":[${value}]}}]}`;

  it.each([
    ["nothing", ""],
    ["no JSON", "{"],
    ["no object", "[]"],
    ["null", "null"],
    ["no requests", "{}"],
    ["requests that are no list", '{"requests":{}}'],
    ["an unknown request", '{"requests":[{"type":"dance"}]}'],
    ["a baton that is a number", '{"baton":1,"requests":[]}'],
    ["a statement without text", '{"requests":[{"type":"execute","stmt":{}}]}'],
    ["a statement with two texts", '{"requests":[{"type":"execute","stmt":{"sql":"SELECT 1","sql_id":1}}]}'],
    ["a text id that is unknown", '{"requests":[{"type":"execute","stmt":{"sql_id":1}}]}'],
    ["a value of no type", args("{}")],
    ["an integer that is a number", args('{"type":"integer","value":1}')],
    ["an integer of 65 bits", args('{"type":"integer","value":"9223372036854775808"}')],
    ["an integer that is a word", args('{"type":"integer","value":"one"}')],
    ["a float that is a string", args('{"type":"float","value":"1"}')],
    ["a float that is infinite", args('{"type":"float","value":1e999}')],
    ["a blob that is not base64", args('{"type":"blob","base64":"*"}')],
    ["a blob of an impossible length", args('{"type":"blob","base64":"AAAAA"}')],
    ["a condition on a later step", batchOf('{"type":"ok","step":0}')],
    ["a condition of no kind", batchOf('{"type":"maybe"}')],
    ["a condition of version 3", batchOf('{"type":"is_autocommit"}')],
    ["a condition nested too deeply", batchOf(deep(1_000))],
    ["something after close", '{"requests":[{"type":"close"},{"type":"execute","stmt":{"sql":"SELECT 1"}}]}'],
    ["too many requests", JSON.stringify({ requests: Array.from({ length: 1_025 }, () => close) })],
  ])("with %s are answered 400", async (_name, body) => {
    const response = await post(body);
    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toBe("text/plain");
    // The server is none the worse for it.
    await pipeline([execute("SELECT 1"), close]);
  });

  it("names the field, and never echoes what it holds", async () => {
    const response = await post(args('{"type":"integer","value":"secret"}'));
    const text = await response.text();
    expect(text).toMatch(/^Cannot deserialize client message from JSON: requests\.0\.stmt\.args\.0/);
    expect(text).not.toContain("secret");
  });

  it("are answered 400 for bytes that are not UTF-8", async () => {
    const response = await fetch(`${server.url}/v2/pipeline`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: new Uint8Array([0x22, 0xff, 0x22]),
    });
    expect(response.status).toBe(400);
  });

  it("takes a body of just the bound, and answers 413 to one byte more", async () => {
    const frame = JSON.stringify({ requests: [], pad: "" });
    const exact = JSON.stringify({ requests: [], pad: "x".repeat(maxBodyBytes - frame.length) });
    expect((await post(exact)).status).toBe(200);
    expect((await post(`${exact} `)).status).toBe(413);
    // Sent in pieces, without saying how long it will be.
    const stream = new Blob([exact, " ".repeat(1_000_000)]).stream();
    const headers = { "content-type": "application/json" };
    const chunked = await fetch(`${server.url}/v2/pipeline`, { method: "POST", headers, body: stream, duplex: "half" });
    expect(chunked.status).toBe(413);
  });

  it("are answered 415 when a browser could send them unasked", async () => {
    expect((await post('{"requests":[]}', { "content-type": "text/plain" })).status).toBe(415);
  });
});
