import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient } from "../../clients/typescript/index.ts";
import { type ClusterProcess, type MasterProcess, startCluster, startMaster } from "../../dev/stack.ts";
import type { Allocation } from "../../protocol/index.ts";
import { knock } from "../support/knock.ts";
import { operatorToken } from "../support/operator-token.ts";

/** A real master whose keys may be rotated every second, a real cluster, and players who join all the while. */
let stateDir: string;
let master: MasterProcess;
let cluster: ClusterProcess;
let token: string;
const log: string[] = [];
const say = (who: string, what: string): void => void log.push(`${who} ${what}`);

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "sustenet-keys-"));
  master = await startMaster({ stateDir, port: 0, say, environment: { KEY_CACHE_SECONDS: "1" } });
  cluster = await startCluster({ stateDir, number: 1, master, say });
  token = await operatorToken(master.url, stateDir, log);
});

afterAll(async () => {
  await cluster.stop();
  await master.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

async function order(path: string, body?: object): Promise<Response> {
  return fetch(`${master.url}/v1/admin/signing-keys/${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** A new player's ticket. */
async function allocate(): Promise<Allocation> {
  const client = createClient({ masterUrl: master.url });
  await client.login({ anonymous: true });
  return client.allocate({});
}

describe("[SEC-27] rotating keys while players join", () => {
  it("refuses nobody", async () => {
    const joins: { readonly kid: string; readonly outcome: string }[] = [];
    const end = new AbortController();
    const joining = Array.from({ length: 4 }, async () => {
      while (!end.signal.aborted) {
        const { ticket, cluster: at } = await allocate();
        const outcome = await knock(at, ticket);
        joins.push({ kid: decodeProtectedHeader(ticket).kid ?? "", outcome });
      }
    });
    const kids = () => new Set(joins.map(({ kid }) => kid));
    // Each key that rotations bring forth has signed tickets, and they were shown, before it is enough.
    await expect
      .poll(
        async () => {
          await order("rotate");
          return kids().size;
        },
        { timeout: 90_000, interval: 300 },
      )
      .toBeGreaterThanOrEqual(4);
    end.abort();
    await Promise.all(joining);
    expect(joins.filter(({ outcome }) => outcome !== "WELCOME")).toEqual([]);
  });
});

describe("[SEC-73] a key that has leaked", () => {
  it("lets no ticket of it in any more, and the next allocation joins", async () => {
    const leaked = await Promise.all([allocate(), allocate(), allocate()]);
    const kid = decodeProtectedHeader(leaked[0]?.ticket ?? "").kid ?? "";
    expect((await order("revoke", { kid })).status).toBe(200);
    await expect.poll(() => log.some((line) => line.includes(kid) && line.includes("keys-changed"))).toBe(true);
    for (const { ticket, cluster: at } of leaked) expect(await knock(at, ticket)).toBe("closed without a word");
    const { ticket, cluster: at } = await allocate();
    expect(decodeProtectedHeader(ticket).kid).not.toBe(kid);
    expect(await knock(at, ticket)).toBe("WELCOME");
  });
});
