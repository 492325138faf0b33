import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { createClient } from "@libsql/client/web";
import { afterEach, beforeAll, describe, expect, inject, it, vi } from "vitest";
import { AuditChainCheck, type AuditRow } from "../../control-plane/domain/operators/audit-chain.ts";
import { recordAudit, recordAuditOutcome } from "../../control-plane/objects/operators/audit.ts";
import { AuditLog } from "../../control-plane/worker.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { forgetEarlierAudit } from "./support/audit.ts";
import { refuseLongBodies } from "./support/cut-off.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { logIn } from "./support/players.ts";
import type { Provided } from "./support/provided.ts";

interface Page {
  readonly rows: readonly AuditRow[];
  readonly next: string | null;
  readonly head: { readonly sequence: number; readonly hash: string };
  readonly pending: number;
}

let operator: PlayerSessionTokens;

beforeAll(async () => {
  await forgetEarlierAudit();
  operator = await logInOperator();
});

afterEach(() => {
  vi.restoreAllMocks();
});

const log = () => env.AUDIT_LOG.getByName("log");
const bindings = (): Provided["workerBindings"] => inject("workerBindings");

async function page(query = "", token = operator.accessToken): Promise<Page> {
  return expectJson(await call("GET", `/v1/admin/audit?${query}`, { token }), 200);
}

async function act(target: string, actor = "operator-x"): Promise<number> {
  const entry = { actor, action: "test.act", target, details: { why: "a test" }, requestId: crypto.randomUUID() };
  const receipt = await recordAudit(env, entry);
  if (!receipt.ok) throw new Error(receipt.detail);
  await recordAuditOutcome(env, receipt.sequence, { ...entry, details: {}, outcome: "done" });
  return receipt.sequence;
}

/** Until the database has every row. */
async function delivered(): Promise<void> {
  await expect
    .poll(async () => {
      await runDurableObjectAlarm(log());
      return log().pending();
    })
    .toBe(0);
}

async function everyRow(order: "asc" | "desc", limit: number): Promise<AuditRow[]> {
  const rows: AuditRow[] = [];
  for (let next: string | null = ""; next !== null;) {
    const part: Page = await page(`order=${order}&limit=${limit}${next === "" ? "" : `&cursor=${next}`}`);
    rows.push(...part.rows);
    ({ next } = part);
  }
  return rows;
}

describe("who may call", () => {
  it("[SEC-45] nobody without a token, nor a player, nor one who writes the role into user_metadata", async () => {
    await expectProblem(await call("GET", "/v1/admin/audit"), "UNAUTHENTICATED");
    const player = await logIn();
    await expectProblem(await call("GET", "/v1/admin/audit", { token: player.accessToken }), "FORBIDDEN");
    const update = await fetch(`${bindings()["SUPABASE_URL"]}/auth/v1/user`, {
      method: "PUT",
      headers: {
        apikey: bindings()["SUPABASE_PUBLISHABLE_KEY"] ?? "",
        authorization: `Bearer ${player.accessToken}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ data: { role: "operator", roles: ["operator"] } }),
    });
    expect(update.status).toBe(200);
    const { refreshToken } = player;
    const again: PlayerSessionTokens = await expectJson(
      await call("POST", "/v1/refresh", { body: { refreshToken } }),
      200,
    );
    await expectProblem(await call("GET", "/v1/admin/audit", { token: again.accessToken }), "FORBIDDEN");
  });

  it("[SEC-45] an operator", async () => {
    expect((await page()).pending).toBeGreaterThanOrEqual(0);
  });
});

describe("the log", () => {
  it("keeps what was intended and what came of it, chained, under parallel writers", async () => {
    const intents = await Promise.all(Array.from({ length: 20 }, (_, index) => act(`cluster:parallel-${index}`)));
    expect(new Set(intents).size).toBe(20);
    const rows = await everyRow("asc", 7);
    const check = new AuditChainCheck();
    for (const row of rows) await check.add(row);
    const { head } = await page("limit=1");
    expect(check.verdict(head)).toMatchObject({ ok: true, head });
  });

  it("is paged in both orders, and filtered", async () => {
    await act("cluster:a", "operator-a");
    await act("cluster:b", "operator-b");
    const up = await everyRow("asc", 3);
    const down = await everyRow("desc", 5);
    expect(down.toReversed()).toEqual(up);
    const filtered = await page("actor=operator-a&target=cluster:a");
    expect(filtered.rows.map((row) => row.outcome)).toEqual(["done", "intended"]);
    expect((await page("actor=nobody")).rows).toEqual([]);
    const [newest] = filtered.rows;
    const requestId = newest?.requestId ?? "";
    expect((await page(`requestId=${requestId}&order=asc`)).rows.map((row) => row.outcome)).toEqual([
      "intended",
      "done",
    ]);
  });

  it("[SEC-48] refuses a cursor that was changed, made up, or made for another list", async () => {
    await act("cluster:c");
    const { next } = await page("limit=1");
    if (next === null) throw new Error("there is more than one row");
    const refused = async (query: string) => {
      const response = await call("GET", `/v1/admin/audit?${query}`, { token: operator.accessToken });
      const problem = await expectProblem(response, "INVALID_FIELD");
      expect(problem.errors?.[0]?.field).toBe("query.cursor");
    };
    await refused(`limit=1&cursor=A${next.slice(1)}`);
    await refused(`limit=1&cursor=${next.slice(0, -1)}${next.endsWith("A") ? "B" : "A"}`);
    await refused(`limit=1&cursor=${btoa("1")}`);
    await refused(`limit=1&order=asc&cursor=${next}`);
    await refused(`limit=1&actor=operator-a&cursor=${next}`);
  });

  it("reaches the database in batches, and once, however often it is sent", async () => {
    await act("cluster:d");
    await delivered();
    const { head } = await page("limit=1");
    await runInDurableObject(log(), async (_: AuditLog, state) => {
      state.storage.sql.exec("UPDATE delivery SET up_to = 0");
      await state.storage.setAlarm(Date.now());
    });
    await delivered();
    const client = createClient({
      url: bindings()["TURSO_DATABASE_URL"] ?? "",
      authToken: bindings()["TURSO_AUTH_TOKEN"] ?? "",
    });
    const { rows } = await client.execute("SELECT count(*) AS rows, max(sequence) AS last FROM audit_log");
    expect(rows[0]).toMatchObject({ rows: head.sequence, last: head.sequence });
  });

  it("loses nothing while the database is away, and tells how much waits", async () => {
    await delivered();
    await runInDurableObject(log(), async (instance: AuditLog) => {
      Object.defineProperty(instance, "env", { value: { ...env, TURSO_DATABASE_URL: "http://127.0.0.1:9" } });
    });
    const before = await page("limit=1");
    await act("cluster:e");
    await runDurableObjectAlarm(log());
    const during = await page("limit=1");
    expect(during.head.sequence).toBe(before.head.sequence + 2);
    expect(during.pending).toBe(2);
    await runInDurableObject(log(), async (instance: AuditLog) => {
      Object.defineProperty(instance, "env", { value: env });
    });
    await delivered();
  });

  it("[REC-4] reaches a database that takes little at a time, however long its rows are, and sends it no more than a megabyte", async () => {
    await delivered();
    const { head } = await page("limit=1");
    const lengths = refuseLongBodies(bindings()["TURSO_DATABASE_URL"] ?? "", 150_000);
    // Three bytes each: as long as details may be.
    const details = { why: "語".repeat(16_000) };
    for (let index = 0; index < 30; index += 1) {
      const entry = {
        actor: "operator-y",
        action: "test.act",
        target: "cluster:f",
        details,
        requestId: `long-${index}`,
      };
      expect(await recordAudit(env, entry)).toMatchObject({ ok: true });
    }
    await delivered();
    expect(await page("limit=1")).toMatchObject({ head: { sequence: head.sequence + 30 }, pending: 0 });
    expect(Math.max(...lengths)).toBeLessThan(1_050_000);
    vi.restoreAllMocks();
    const check = new AuditChainCheck();
    for (const row of await everyRow("asc", 100)) await check.add(row);
    expect(check.verdict((await page("limit=1")).head)).toMatchObject({ ok: true });
  });

  it("reads on in the database where it has let go of old rows", async () => {
    await delivered();
    const whole = await everyRow("asc", 100);
    await runInDurableObject(log(), async (_: AuditLog, state) => {
      state.storage.sql.exec("DELETE FROM rows WHERE sequence < ?", whole.length - 3);
    });
    expect(await everyRow("asc", 4)).toEqual(whole);
    expect(await everyRow("desc", 4)).toEqual(whole.toReversed());
  });

  it("ends no later than its newest row, as it is told with a page, also while somebody acts", async () => {
    await delivered();
    await runInDurableObject(log(), async (instance: AuditLog, context) => {
      const real = instance.page.bind(instance);
      vi.spyOn(AuditLog.prototype, "page").mockImplementationOnce(async (query) => {
        const answer = real(query);
        const entry = {
          actor: "operator-z",
          action: "test.act",
          target: "cluster:g",
          details: {},
          requestId: "meanwhile",
        };
        await context.blockConcurrencyWhile(() => instance.append({ ...entry, outcome: "intended", intent: null }));
        return answer;
      });
    });
    const { rows, next, head } = await page("order=asc&limit=500");
    const check = new AuditChainCheck();
    for (const row of rows) await check.add(row);
    expect([next, check.verdict(head)]).toEqual([null, expect.objectContaining({ ok: true })]);
  });

  it("leaves out no row that it lets go of while the database is asked for older ones", async () => {
    await delivered();
    const whole = await everyRow("asc", 100);
    const sequences = await runInDurableObject(log(), async (instance: AuditLog, { storage }) => {
      const letGo = (below: number) => storage.sql.exec("DELETE FROM rows WHERE sequence < ?", below);
      letGo(whole.length - 3);
      const real = globalThis.fetch;
      vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
        const answer = await real(input, init);
        letGo(whole.length - 1);
        return answer;
      });
      const answer = await instance.page({ order: "asc", position: undefined, filters: {}, limit: 500 });
      return answer.ok ? answer.page.rows.map(({ sequence }) => sequence) : [];
    });
    expect(sequences).toEqual(whole.map(({ sequence }) => sequence));
  });
});
