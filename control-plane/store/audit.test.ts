import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client/web";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LibsqlServer, startLibsqlServer } from "../../dev/libsql/server.ts";
import { type AuditRow, firstPreviousHash, hashAuditRow } from "../domain/operators/audit-chain.ts";
import { AuditDivergence, insertAuditRows, selectAuditRows } from "./audit.ts";
import { migrate } from "./migrate.ts";

let folder: string;
let server: LibsqlServer;
const authToken = "a-token";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sustenet-audit-"));
  server = await startLibsqlServer({ file: join(folder, "audit.db"), authToken });
  await migrate(address());
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const address = () => ({ url: server.url, authToken });

async function chain(length: number): Promise<AuditRow[]> {
  const rows: AuditRow[] = [];
  for (let sequence = 1; sequence <= length; sequence += 1) {
    const row = {
      sequence,
      atMs: sequence * 1_000,
      actor: sequence % 2 === 0 ? "even" : "odd",
      action: "test.act",
      target: `cluster:${sequence}`,
      details: "{}",
      requestId: `request-${sequence}`,
      outcome: "intended" as const,
      intent: null,
      previousHash: rows.at(-1)?.hash ?? firstPreviousHash,
    };
    rows.push({ ...row, hash: await hashAuditRow(row) });
  }
  return rows;
}

describe("the audit log in the database", () => {
  it("takes a batch twice and holds each row once", async () => {
    const rows = await chain(100);
    await insertAuditRows(address(), rows.slice(0, 60));
    await insertAuditRows(address(), rows.slice(40));
    await insertAuditRows(address(), []);
    const all = { order: "asc", position: undefined, filters: {}, limit: 500 } as const;
    expect(await selectAuditRows(address(), all)).toEqual(rows);
  });

  it("is read in pages, in both orders, with filters", async () => {
    const query = { order: "desc", position: 90, filters: { actor: "even", sinceMs: 80_000 }, limit: 3 } as const;
    expect((await selectAuditRows(address(), query)).map((row) => row.sequence)).toEqual([88, 86, 84]);
    const up = { order: "asc", position: 10, below: 13, filters: {}, limit: 9 } as const;
    expect((await selectAuditRows(address(), up)).map((row) => row.sequence)).toEqual([11, 12]);
  });

  it("says when it holds another row than the one that was to be written", async () => {
    const client = createClient(address());
    await client.execute("UPDATE audit_log SET hash = 'x' WHERE sequence = 50");
    await expect(insertAuditRows(address(), await chain(100))).rejects.toMatchObject({ sequence: 50 });
    await expect(insertAuditRows(address(), await chain(100))).rejects.toBeInstanceOf(AuditDivergence);
  });
});
