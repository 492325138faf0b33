/** The transport against real sockets: what it accepts, and that nothing is sent where it does not. */
import { createServer, type Server } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openConnection } from "./opening.ts";
import { systemClock } from "./clock.ts";
import { nodeTlsTransport } from "./node-tls.ts";
import { createTestCertificate } from "./testing/certificate.ts";
import {
  listen,
  type Peer,
  type ScriptedCluster,
  serverName,
  startScriptedCluster,
} from "./testing/scripted-cluster.ts";
import type { ClusterAddress } from "./transport.ts";
import { eventually } from "../../test/support/eventually.ts";

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const context = {
  transport: nodeTlsTransport,
  clock: systemClock,
  clientName: "test/1",
  connectTimeoutMs: 5_000,
  joinTimeoutMs: 5_000,
  leaveTimeoutMs: 1_000,
  maxQueuedBytes: 1_000_000,
};

async function startCluster(...args: Parameters<typeof startScriptedCluster>): Promise<ScriptedCluster> {
  const cluster = await startScriptedCluster(...args);
  closers.push(() => cluster.close());
  return cluster;
}

async function startTcp(
  onConnection: (socket: { write: (text: string) => void; resume: () => void }) => void,
): Promise<{
  server: Server;
  port: number;
}> {
  const server = createServer(onConnection);
  const sockets = new Set<{ destroy: () => void }>();
  server.on("connection", (socket) => sockets.add(socket));
  const port = await listen(server);
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  return { server, port };
}

const welcome = async (peer: Peer): Promise<void> => void (await peer.welcome());

describe("a certificate that is the right one", () => {
  it("[TLS-2] is accepted under its name, which is sent as SNI", async () => {
    const cluster = await startCluster(welcome);
    const { connection } = await openConnection({ cluster: cluster.address, ticket: "t" }, context);
    const peer = cluster.peers[0];
    expect(peer?.socket.servername).toBe(serverName);
    expect(peer?.socket.getProtocol()).toBe("TLSv1.3");
    expect(peer?.socket.getCipher().name).toBe("TLS_AES_256_GCM_SHA384");
    await connection.leave();
    expect(cluster.faults).toEqual([]);
  });

  it("[TLS-1] is accepted over TLS 1.2 with AES-256-GCM as well", async () => {
    const cluster = await startCluster(welcome, { tls: { maxVersion: "TLSv1.2" } });
    const { connection } = await openConnection({ cluster: cluster.address, ticket: "t" }, context);
    expect(cluster.peers[0]?.socket.getProtocol()).toBe("TLSv1.2");
    expect(cluster.peers[0]?.socket.getCipher().name).toBe("ECDHE-ECDSA-AES256-GCM-SHA384");
    await connection.leave();
  });
});

it("[TLS-6] a certificate is accepted that is named beside the one with the fingerprint", async () => {
  const { sha256 } = await createTestCertificate(serverName);
  const cluster = await startCluster(welcome, { address: { sha256 } });
  const { connection } = await openConnection({ cluster: cluster.address, ticket: "t" }, context);
  await connection.leave();
  expect(cluster.faults).toEqual([]);
});

describe("[TLS-3] the ticket is not sent", () => {
  const other = createTestCertificate(serverName);

  async function refusal(cluster: ScriptedCluster): Promise<unknown> {
    const outcome = await openConnection({ cluster: cluster.address, ticket: "secret" }, context).catch(
      (error: unknown) => error,
    );
    await Promise.all(cluster.peers.map((peer) => peer.closed));
    expect(cluster.peers.flatMap((peer) => peer.received)).toEqual([]);
    return outcome;
  }

  it("where another certificate of the same name answers", async () => {
    const cluster = await startCluster(() => undefined, { address: { caPem: (await other).certPem } });
    expect(await refusal(cluster)).toMatchObject({ code: "CERTIFICATE_MISMATCH", advice: "stop" });
  });

  it("where the certificate has another name", async () => {
    const cluster = await startCluster(() => undefined, { address: { serverName: "other.cluster.invalid" } });
    expect(await refusal(cluster)).toMatchObject({ code: "CERTIFICATE_MISMATCH" });
  });

  it("where the certificate has expired", async () => {
    const certificate = await createTestCertificate(serverName, {
      notBefore: new Date("2020-01-01"),
      notAfter: new Date("2020-02-01"),
    });
    const cluster = await startCluster(() => undefined, { certificate });
    expect(await refusal(cluster)).toMatchObject({ code: "CERTIFICATE_MISMATCH" });
  });

  it.each(["", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"])(
    "where there is no certificate to trust: %j",
    async (caPem) => {
      const cluster = await startCluster(() => undefined, { address: { caPem } });
      expect(await refusal(cluster)).toMatchObject({ code: "CERTIFICATE_MISMATCH" });
    },
  );

  it("where one of the certificates to trust is nonsense, though the right one is there too", async () => {
    const certificate = await createTestCertificate(serverName);
    const caPem = `${certificate.certPem}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`;
    const cluster = await startCluster(() => undefined, { certificate, address: { caPem } });
    expect(await refusal(cluster)).toMatchObject({ code: "CERTIFICATE_MISMATCH", advice: "stop" });
  });

  it.each([
    ["TLS 1.1", { maxVersion: "TLSv1.1", minVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }],
    ["ChaCha20 alone", { ciphers: "TLS_CHACHA20_POLY1305_SHA256", minVersion: "TLSv1.3" }],
    ["AES-128 alone", { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256", maxVersion: "TLSv1.2" }],
  ] as const)("[TLS-1] where the cluster offers %s", async (_, tls) => {
    const cluster = await startCluster(() => undefined, { tls });
    expect(await refusal(cluster)).toMatchObject({ code: "NETWORK", advice: "retry" });
  });
});

describe("no TLS at all", () => {
  const address = (port: number, caPem: string): ClusterAddress => ({
    id: "c",
    name: "C",
    host: "127.0.0.1",
    port,
    tls: { serverName, caPem, sha256: "0".repeat(64) },
  });

  it("is NETWORK where nobody listens", async () => {
    const { certPem } = await createTestCertificate(serverName);
    const { server, port } = await startTcp(() => undefined);
    await new Promise((resolve) => server.close(resolve));
    await expect(openConnection({ cluster: address(port, certPem), ticket: "t" }, context)).rejects.toMatchObject({
      code: "NETWORK",
      cause: expect.objectContaining({ code: "ECONNREFUSED" }),
    });
  });

  it("is NETWORK where something else answers", async () => {
    const { certPem } = await createTestCertificate(serverName);
    const { port } = await startTcp((socket) => socket.write("SSH-2.0-OpenSSH_9.9\r\n"));
    await expect(openConnection({ cluster: address(port, certPem), ticket: "t" }, context)).rejects.toMatchObject({
      code: "NETWORK",
    });
  });

  it("is TIMEOUT where nobody answers, and the socket is closed", async () => {
    const { certPem } = await createTestCertificate(serverName);
    const closed = vi.fn<() => void>();
    const { server, port } = await startTcp((socket) => socket.resume());
    server.on("connection", (socket) => socket.on("close", closed));
    const opening = openConnection(
      { cluster: address(port, certPem), ticket: "t" },
      { ...context, connectTimeoutMs: 100 },
    );
    await expect(opening).rejects.toMatchObject({ code: "TIMEOUT" });
    await eventually(() => expect(closed).toHaveBeenCalledOnce());
  });

  it("is CLOSED where it was called off before", async () => {
    const { port } = await startTcp(() => expect.unreachable());
    const handlers = { onData: () => undefined, onClose: () => undefined };
    await expect(nodeTlsTransport.connect(address(port, "x"), handlers, AbortSignal.abort())).rejects.toMatchObject({
      code: "CLOSED",
    });
  });
});

describe("an open connection", () => {
  it("hands on plain byte arrays, and tells once that it has ended", async () => {
    const cluster = await startCluster((peer) => peer.send(Uint8Array.of(1, 2, 3)));
    const data: Uint8Array[] = [];
    const onClose = vi.fn<() => void>();
    const onData = (bytes: Uint8Array): void => void data.push(bytes);
    const signal = new AbortController().signal;
    const connection = await nodeTlsTransport.connect(cluster.address, { onData, onClose }, signal);
    await eventually(() => expect(data).toEqual([Uint8Array.of(1, 2, 3)]));
    expect(Buffer.isBuffer(data[0])).toBe(false);
    connection.close();
    await eventually(() => expect(onClose).toHaveBeenCalledOnce());
    // A connection that has ended takes calls without a word.
    connection.write(Uint8Array.of(1));
    connection.close();
    connection.abort();
    expect(onClose).toHaveBeenCalledOnce();
  });

  it("counts what the cluster does not read", async () => {
    const cluster = await startCluster((peer) => void peer.socket.pause());
    const handlers = { onData: () => undefined, onClose: () => undefined };
    const connection = await nodeTlsTransport.connect(cluster.address, handlers, new AbortController().signal);
    const piece = new Uint8Array(1024 * 1024);
    for (let count = 0; count < 32; count++) connection.write(piece);
    expect(connection.queuedBytes).toBeGreaterThan(16 * 1024 * 1024);
    connection.abort();
  });
});
