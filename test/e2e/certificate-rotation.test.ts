import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeTlsTransport } from "../../clients/typescript/node-tls.ts";
import type { ClusterTls } from "../../protocol/index.ts";
import { type Authority, createAuthority, issueCertificate } from "../../data-plane/testing/operator-files.ts";
import { startTestCluster, type TestCluster } from "../../data-plane/testing/test-cluster.ts";
import { until } from "../../data-plane/testing/until.ts";
import { WebSocketClient } from "../../data-plane/testing/websocket-client.ts";
import { createCertificate } from "../../data-plane/keys/certificate.ts";

let dir: string;
let cluster: TestCluster;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sustenet-"));
});
afterEach(async () => {
  await cluster.stop();
  await rm(dir, { recursive: true });
});

const limits = { certificateOverlapMs: 2_500, certificateCheckMs: 20 };

/** What an allocation says now. */
function allocated(): ClusterTls {
  const tls = cluster.master.registrations.at(-1)?.tls;
  if (tls === undefined) throw new Error("it is not registered");
  return tls;
}

/** Settings for a certificate that has just been issued, in the same files each time. */
async function issued(authority: Authority): Promise<{ tlsCert: string; tlsKey: string }> {
  const files = await issueCertificate(dir, authority, { names: ["eu.example.com"] });
  return { tlsCert: files.certificate, tlsKey: files.key };
}

/** Connects as the client library does with such an allocation. */
async function connects(tls: ClusterTls): Promise<boolean> {
  const handlers = { onData: () => undefined, onClose: () => undefined };
  const address = { id: "c", name: "Test", host: "127.0.0.1", port: cluster.target.port, tls };
  try {
    const connection = await nodeTlsTransport.connect(address, handlers, new AbortController().signal);
    connection.abort();
    return true;
  } catch {
    return false;
  }
}

describe("a certificate that changes under way", () => {
  it("[TLS-6] leaves every allocation good for as long as it may be used, and drops nobody: the operator's", async () => {
    const authority = await createAuthority();
    const tls = await issued(authority);
    cluster = await startTestCluster({ settings: { ...tls, wsPort: 0 }, limits });
    const port = cluster.server.address?.webSocketPort ?? 0;
    const before = allocated();
    const playing = await cluster.joined();
    const browsing = await new WebSocketClient(port, before).opened();
    expect(await connects(before)).toBe(true);

    await issued(authority);
    await until("the announcement", () => cluster.master.registrations.length === 2);
    const during = allocated();
    expect(during.sha256).toBe(before.sha256);
    expect(await connects(before)).toBe(true);
    expect(await connects(during)).toBe(true);

    await until("the next one to be announced alone", () => cluster.master.registrations.length === 3);
    const after = allocated();
    expect(after.sha256).not.toBe(before.sha256);
    // What was allocated during the overlap names both.
    expect(await connects(during)).toBe(true);
    expect(await connects(after)).toBe(true);
    expect(await connects(before)).toBe(false);
    expect([playing.closed, browsing.closeCode]).toEqual([false, undefined]);
    const fresh = await new WebSocketClient(port, { ...after, caPem: authority.certificate.toString("pem") }).opened();
    for (const client of [browsing, fresh]) client.close();
  });

  it("[TLS-6] leaves every allocation good, and drops nobody: one of our own", async () => {
    cluster = await startTestCluster({ limits });
    const before = allocated();
    const playing = await cluster.joined();
    const file = join(cluster.keysDir, "cluster_key.tls.pem");
    await writeFile(file, await createCertificate(before.serverName, new Date()));
    await until("the announcement", () => cluster.master.registrations.length === 2);
    const during = allocated();
    expect(await connects(before)).toBe(true);
    await until("the next one to be announced alone", () => cluster.master.registrations.length === 3);
    expect(await connects(during)).toBe(true);
    expect(await connects(allocated())).toBe(true);
    expect(playing.closed).toBe(false);
    expect(await readFile(file, "utf8")).toContain(allocated().caPem.trim());
  });

  it("[TLS-3] is not accepted for its authority alone, save with its fingerprint", async () => {
    const authority = await createAuthority();
    const settings = await issued(authority);
    cluster = await startTestCluster({ settings });
    const tls = { ...allocated(), caPem: authority.certificate.toString("pem") };
    expect(await connects(tls)).toBe(true);
    expect(await connects({ ...tls, sha256: "0".repeat(64) })).toBe(false);
  });

  it("is not changed for one that cannot be used, which is said once", async () => {
    const tls = await issued(await createAuthority());
    cluster = await startTestCluster({ settings: tls, limits: { ...limits, certificateCheckMs: 60_000 } });
    await writeFile(tls.tlsKey, "half of a ");
    await cluster.server.reloadCertificate();
    await cluster.server.reloadCertificate();
    const said = cluster.log.lines.filter(({ fields }) => fields["event"] === "certificate-unusable");
    expect(said).toHaveLength(1);
    expect(cluster.log.text()).not.toContain("half of a");
    expect(await connects(allocated())).toBe(true);
    expect(cluster.master.registrations).toHaveLength(1);
  });
});
