import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt, decodeProtectedHeader, generateKeyPair } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { openSigningKey, parseKeyEncryptionKey } from "../../auth/key-ring.ts";
import { signTicket, type TicketClaims } from "../../auth/ticket.ts";
import { findKeyCopies } from "../../control-plane/store/signing-keys.ts";
import { createClient } from "../../clients/typescript/index.ts";
import { type ClusterProcess, type MasterProcess, startCluster, startMaster } from "../../dev/stack.ts";
import type { Allocation } from "../../protocol/index.ts";
import { knock } from "../support/knock.ts";
import { eventually } from "../support/eventually.ts";

/** Real master, real clusters, real sockets; the tickets are the master's own, or forged from one. */
let stateDir: string;
let master: MasterProcess;
let clusters: ClusterProcess[];
const log: string[] = [];
const say = (who: string, what: string): void => void log.push(`${who} ${what}`);

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "sustenet-tickets-"));
  master = await startMaster({ stateDir, port: 0, say });
  clusters = await Promise.all([1, 2].map((number) => startCluster({ stateDir, number, master, say })));
});

afterAll(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
  await master.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

/** A new player's ticket, for any cluster or for one. */
async function allocate(clusterId?: string): Promise<Allocation> {
  const client = createClient({ masterUrl: master.url });
  await client.login({ anonymous: true });
  return client.allocate(clusterId === undefined ? {} : { clusterId });
}

describe("a real cluster", () => {
  it("welcomes a fresh ticket, and refuses it when it comes again", async () => {
    const { ticket, cluster } = await allocate();
    expect(await knock(cluster, ticket)).toBe("WELCOME");
    expect(await knock(cluster, ticket)).toBe("REPLAYED");
  });

  it("refuses a ticket for another cluster", async () => {
    const { ticket, cluster } = await allocate();
    const listed = await createClient({ masterUrl: master.url }).clusters();
    const other = listed.find(({ id }) => id !== cluster.id);
    const elsewhere = await allocate(other?.id);
    expect(elsewhere.cluster.id).not.toBe(cluster.id);
    expect(await knock(elsewhere.cluster, ticket)).toBe("WRONG_TICKET");
  });

  it("[TICKET-7] refuses a ticket that has expired", async () => {
    const { ticket, cluster } = await allocate();
    expect(await knock(cluster, await expire(ticket))).toBe("EXPIRED");
    expect(await knock(cluster, ticket)).toBe("WELCOME");
  });

  it("closes without a word on a ticket that another key signed", async () => {
    const { ticket, cluster } = await allocate();
    expect(await knock(cluster, await forge(ticket))).toBe("closed without a word");
    await expect.poll(() => log.some((line) => line.includes("BAD_SIGNATURE"))).toBe(true);
  });

  it("closes without a word on a ticket that was changed", async () => {
    const { ticket, cluster } = await allocate();
    const [header, payload = "", signature] = ticket.split(".");
    const claims = { ...decodeJwt<TicketClaims>(ticket), name: "Someone Else" };
    const changed = Buffer.from(JSON.stringify(claims)).toString("base64url");
    expect(changed).not.toBe(payload);
    expect(await knock(cluster, [header, changed, signature].join("."))).toBe("closed without a word");
  });
});

/** The same claims as a minute and a half ago, signed by the master's own key: nobody has to wait. */
async function expire(ticket: string): Promise<string> {
  const { keyEncryptionKey } = z
    .object({ keyEncryptionKey: z.string() })
    .parse(JSON.parse(readFileSync(join(stateDir, "secrets.json"), "utf8")));
  const { kid } = decodeProtectedHeader(ticket);
  const stored = await eventually(async () => {
    const copies = await findKeyCopies(master.database);
    const copy = copies.find((key) => key.kid === kid);
    if (copy === undefined) throw new Error("the key is not in the database yet");
    return copy;
  });
  const claims = decodeJwt<TicketClaims>(ticket);
  const lifetime = claims.exp - claims.iat;
  const expired = {
    ...claims,
    iat: claims.iat - lifetime - 30,
    nbf: claims.nbf - lifetime - 30,
    exp: claims.exp - lifetime - 30,
  };
  return signTicket(expired, await openSigningKey(stored, await parseKeyEncryptionKey(keyEncryptionKey)));
}

/** The same claims under the same `kid`, signed by a key of our own. */
async function forge(ticket: string): Promise<string> {
  const { privateKey } = await generateKeyPair("ES256");
  const { kid = "" } = decodeProtectedHeader(ticket);
  return signTicket(decodeJwt<TicketClaims>(ticket), { kid, key: privateKey });
}
