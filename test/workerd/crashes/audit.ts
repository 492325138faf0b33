import { env } from "cloudflare:workers";
import { runDurableObjectAlarm } from "cloudflare:test";
import { expect } from "vitest";
import { AuditChainCheck, type AuditHead, type AuditRow } from "../../../control-plane/domain/operators/audit-chain.ts";
import { startCluster } from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { call, expectJson } from "../support/master.ts";
import { logInOperator } from "../support/operators.ts";
import { eventually } from "../../support/eventually.ts";

interface Page {
  readonly rows: readonly AuditRow[];
  readonly next: string | null;
  readonly head: AuditHead;
  readonly pending: number;
}

/** Whatever stops: what was done is on record, the chain is unbroken, and it reaches the database whole. */
export const scenario: CrashScenario = {
  flow: "audit",
  prepare: async () => {
    const { accessToken: token } = await logInOperator();
    const cluster = await startCluster();
    const path = `/v1/admin/clusters/${cluster.id}/lock`;
    const log = () => env.AUDIT_LOG.getByName("log");
    const lock = async () => call("PUT", path, { token, body: {} });
    const page = async (query: string): Promise<Page> =>
      expectJson(await call("GET", `/v1/admin/audit?order=asc&limit=500${query}`, { token }), 200);
    return {
      begin: async () => {
        await lock();
        await runDurableObjectAlarm(log());
      },
      carryOn: async () => {
        await expectJson(await lock(), 200);
        await eventually(async () => {
          await runDurableObjectAlarm(log());
          expect((await page("")).pending).toBe(0);
        });
      },
      check: async () => {
        const rows: AuditRow[] = [];
        let head: AuditHead | undefined;
        for (let next: string | null = ""; next !== null;) {
          const part: Page = await page(next === "" ? "" : `&cursor=${next}`);
          rows.push(...part.rows);
          ({ next, head } = part);
        }
        const chain = new AuditChainCheck();
        for (const row of rows) await chain.add(row);
        expect(chain.verdict(head)).toMatchObject({ ok: true });
        const target = `cluster:${cluster.id}`;
        expect(rows.filter((row) => row.target === target).map(({ outcome }) => outcome)).toContain("done");
      },
    };
  },
};
