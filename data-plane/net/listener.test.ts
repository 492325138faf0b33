import { connect as connectTcp, createServer, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { TestClient } from "../testing/test-client.ts";
import { until } from "../testing/until.ts";
import { WebSocketClient } from "../testing/websocket-client.ts";
import { Admission } from "./admission.ts";
import { createListener, ListenError } from "./listener.ts";

/** A TCP connection that says only what it is told. */
function knock(port: number, localAddress = "127.0.0.1"): Socket & { gone: () => boolean } {
  let gone = false;
  const socket = connectTcp({ port, host: "127.0.0.1", localAddress });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    gone = true;
  });
  return Object.assign(socket, { gone: () => gone });
}

describe("transport", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startTestCluster();
  });
  afterAll(() => cluster.stop());

  it("[TLS-1] speaks TLS 1.3 with AES-256-GCM and nothing else", async () => {
    const client = await TestClient.open(cluster.target);
    expect([client.socket.getProtocol(), client.socket.getCipher().name]).toEqual([
      "TLSv1.3",
      "TLS_AES_256_GCM_SHA384",
    ]);
    client.close();
    for (const ciphers of ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]) {
      const refused = TestClient.begin(cluster.target, { ciphers, minVersion: "TLSv1.3" });
      await refused.gone();
      expect(refused.errorCode).toMatch(/HANDSHAKE_FAILURE|NO_SHARED_CIPHER/);
    }
  });

  it("[TLS-1] speaks TLS 1.2 with AES-256-GCM for engines without 1.3, and nothing else", async () => {
    const client = await TestClient.open(cluster.target, { maxVersion: "TLSv1.2" });
    expect(client.socket.getCipher().name).toBe("ECDHE-ECDSA-AES256-GCM-SHA384");
    client.join(await cluster.master.ticket());
    await client.next("welcome");
    client.close();
    for (const ciphers of [
      "ECDHE-ECDSA-AES128-GCM-SHA256",
      "ECDHE-ECDSA-CHACHA20-POLY1305",
      "ECDHE-ECDSA-AES256-SHA384",
    ]) {
      const refused = TestClient.begin(cluster.target, { ciphers, maxVersion: "TLSv1.2" });
      await refused.gone();
      expect(refused.errorCode).toBeDefined();
    }
  });

  it("[TLS-1] does not speak TLS 1.1", async () => {
    const refused = TestClient.begin(cluster.target, {
      minVersion: "TLSv1.1",
      maxVersion: "TLSv1.1",
      ciphers: "ALL@SECLEVEL=0",
    });
    await refused.gone();
    expect(refused.errorCode).toBeDefined();
  });

  it("[TLS-2] shows the certificate that it registered, for the name that it registered", async () => {
    const client = await TestClient.open(cluster.target);
    const { tls } = cluster.master.registrations[0] ?? {};
    const shown = client.socket.getPeerX509Certificate();
    expect(shown?.fingerprint256.replaceAll(":", "").toLowerCase()).toBe(tls?.sha256);
    client.close();
    const elsewhere = TestClient.begin({ ...cluster.target, serverName: "other.cluster.sustenet.invalid" });
    await elsewhere.gone();
    expect(elsewhere.errorCode).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  });

  it("does not renegotiate", async () => {
    const client = await TestClient.open(cluster.target, { maxVersion: "TLSv1.2" });
    const { promise, resolve } = Promise.withResolvers<Error | null>();
    client.socket.renegotiate({}, resolve);
    client.socket.on("error", resolve);
    expect(await promise).toBeInstanceOf(Error);
    client.close();
  });

  it("counts what is no TLS, and goes on", async () => {
    const before = cluster.server.metrics.refusals["HANDSHAKE_FAILED"] ?? 0;
    const stranger = knock(cluster.target.port);
    stranger.write("GET / HTTP/1.1\r\n\r\n");
    await until("the stranger's end", stranger.gone);
    await until("the count", () => cluster.server.metrics.refusals["HANDSHAKE_FAILED"] === before + 1);
    expect((await cluster.joined()).closed).toBe(false);
  });

  it("does not hold it against anyone to connect and hang up, as to measure the latency", async () => {
    const before = cluster.server.metrics.refusals;
    const probe = knock(cluster.target.port);
    probe.on("connect", () => probe.destroy());
    await until("the probe's end", probe.gone);
    await until("its place to be free", () => cluster.server.metrics.connections.handshake === 0);
    expect(cluster.server.metrics.refusals).toEqual(before);
  });
});

it("[TLS-1] can do without TLS 1.2", async () => {
  const cluster = await startTestCluster({ settings: { tls12: false } });
  const refused = TestClient.begin(cluster.target, { maxVersion: "TLSv1.2" });
  await refused.gone();
  expect(refused.errorCode).toMatch(/PROTOCOL_VERSION/);
  (await cluster.joined()).close();
  await cluster.stop();
});

it("[TLS-4] [NET-2] ends a handshake that takes too long, however busily it drips", async () => {
  const cluster = await startTestCluster({ limits: { handshakeTimeoutMs: 300 } });
  const silent = knock(cluster.target.port);
  const dripping = knock(cluster.target.port);
  // The head of a TLS record that announces more than will ever come.
  dripping.write(Uint8Array.of(0x16, 0x03, 0x01, 0x40, 0x00));
  const drip = setInterval(() => dripping.write(Uint8Array.of(0)), 20);
  const startedAt = performance.now();
  await until("both to be cut off", () => silent.gone() && dripping.gone());
  clearInterval(drip);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  expect(cluster.server.metrics.refusals).toEqual({ HANDSHAKE_TIMEOUT: 2 });
  expect(cluster.server.metrics.connections.handshake).toBe(0);
  await cluster.stop();
});

it("[TLS-4] [WS-2] [NET-2] gives a handshake 5 s, to the millisecond: who is done just before joins, who is not is cut off", async () => {
  // Its deadlines are held by a clock and an interval; both are ours from the start.
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  try {
    const cluster = await startTestCluster({ settings: { wsPort: 0 } });
    const webSocketPort = cluster.server.address?.webSocketPort ?? 0;
    const late = [knock(cluster.target.port), knock(webSocketPort)];
    const friends = [knock(cluster.target.port), knock(webSocketPort)] as const;
    await until("four handshakes", () => cluster.server.metrics.connections.handshake === 4);
    vi.advanceTimersByTime(4_999);
    const client = await TestClient.open(cluster.target, { socket: friends[0] });
    client.join(await cluster.master.ticket());
    await client.next("welcome");
    const webClient = await new WebSocketClient(webSocketPort, cluster.target, {
      createConnection: () => connectTls({ ...trusting(cluster), socket: friends[1] }),
    }).opened();
    webClient.join(await cluster.master.ticket());
    await webClient.next("welcome");
    expect(cluster.server.metrics).toMatchObject({ refusals: {}, connections: { handshake: 2, joined: 2 } });
    vi.advanceTimersByTime(1);
    await until("both to be cut off", () => late.every((one) => one.gone()));
    expect(cluster.server.metrics).toMatchObject({ refusals: { HANDSHAKE_TIMEOUT: 2 }, connections: { joined: 2 } });
    client.close();
    webClient.close();
    await cluster.stop();
  } finally {
    vi.useRealTimers();
  }
});

/** How a client of this cluster trusts it. */
function trusting({ target }: TestCluster): { readonly servername: string; readonly ca: string } {
  return { servername: target.serverName, ca: target.caPem };
}

describe("before the handshake", () => {
  it("[NET-1] admits so many from one address, and no more, while others are welcome", async () => {
    const cluster = await startTestCluster({ settings: { maxUnauthenticatedPerIp: 2 } });
    const { port } = cluster.target;
    const held = [knock(port), knock(port)];
    await until("two handshakes", () => cluster.server.metrics.connections.handshake === 2);
    const third = knock(port);
    await until("the third to be turned away", third.gone);
    expect(cluster.server.metrics.refusals).toEqual({ TOO_MANY_FROM_ADDRESS: 1 });
    const socket = knock(port, "127.0.0.2");
    const other = await TestClient.open(cluster.target, { socket });
    other.join(await cluster.master.ticket());
    await other.next("welcome");
    for (const socket of held) socket.destroy();
    await until("places to be free", () => cluster.server.metrics.connections.handshake === 0);
    (await cluster.joined()).close();
    other.close();
    await cluster.stop();
  });

  it("[NET-1] admits so many in all, and those who have joined do not count", async () => {
    const cluster = await startTestCluster({ settings: { maxUnauthenticated: 2, maxUnauthenticatedPerIp: 2 } });
    const { port } = cluster.target;
    const joined = await Promise.all([cluster.joined(), cluster.joined()]);
    const held = [knock(port, "127.0.0.3"), knock(port, "127.0.0.4")];
    await until("two handshakes", () => cluster.server.metrics.connections.handshake === 2);
    const third = knock(port, "127.0.0.5");
    await until("the third to be turned away", third.gone);
    expect(cluster.server.metrics.refusals).toEqual({ TOO_MANY_UNAUTHENTICATED: 1 });
    for (const socket of held) socket.destroy();
    for (const client of joined) client.close();
    await cluster.stop();
  });

  it("[NET-1] counts those who are connected and have not joined", async () => {
    const cluster = await startTestCluster({ settings: { maxUnauthenticatedPerIp: 2 } });
    const held = [await cluster.connected(), await cluster.connected()];
    const third = knock(cluster.target.port);
    await until("the third to be turned away", third.gone);
    held[0]?.join(await cluster.master.ticket());
    await held[0]?.next("welcome");
    await cluster.connected();
    await until("both handshakes", () => cluster.server.metrics.connections.hello === 2);
    expect(cluster.server.metrics).toMatchObject({ joins: 1, refusals: { TOO_MANY_FROM_ADDRESS: 1 } });
    await cluster.stop();
  });
});

describe("createListener", () => {
  it("says which port is taken, and what to do", async () => {
    const holder = createServer();
    const { promise, resolve } = Promise.withResolvers<void>();
    holder.listen(0, "127.0.0.1", resolve);
    await promise;
    const address = holder.address();
    const port = address !== null && typeof address !== "string" ? address.port : 0;
    const listening = createListener({
      port,
      host: "127.0.0.1",
      portSetting: "[all] port",
      credentials: { keyPem: "", certificatePem: "" },
      proxies: undefined,
      tls12: true,
      handshakeTimeoutMs: 1_000,
      admission: new Admission({ maxTotal: 1, maxPerGroup: 1, penaltyHalfLifeMs: 1 }, () => 0),
      onConnection: () => undefined,
      onRefused: () => undefined,
      onHandshake: () => undefined,
    });
    await expect(listening).rejects.toThrow(ListenError);
    await expect(listening).rejects.toThrow(
      `Cannot listen at 127.0.0.1 port ${port}: another process has it: stop that one, or set another [all] port (--port free takes any that is free).`,
    );
    holder.close();
  });

  it.each([
    ["TLSv1.3", "TLS"],
    ["TLSv1.2", "TLS"],
    ["TLSv1.3", "WebSocket"],
    ["TLSv1.2", "WebSocket"],
  ] as const)(
    "[TLS-5] reuses a session that the client brings back: %s at the port for %s",
    async (version, binding) => {
      const cluster = await startTestCluster({ settings: { wsPort: 0 } });
      const { serverName: servername, caPem: ca } = cluster.target;
      const port = binding === "TLS" ? cluster.target.port : (cluster.server.address?.webSocketPort ?? 0);
      const options = { port, host: "127.0.0.1", servername, ca, minVersion: version, maxVersion: version };
      const first = connectTls(options);
      const { promise, resolve } = Promise.withResolvers<Buffer>();
      first.once("session", resolve);
      const session = await promise;
      expect(first.isSessionReused()).toBe(false);
      const again = connectTls({ ...options, session });
      await until("the second connection", () => again.authorized);
      expect([again.isSessionReused(), again.getProtocol()]).toEqual([true, version]);
      for (const socket of [first, again]) socket.destroy();
      await cluster.stop();
    },
  );
});
