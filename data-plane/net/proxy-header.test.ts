import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import { parseProxyHeader, parseProxyLength, TrustedProxies } from "./proxy-header.ts";

const signature = "0d0a0d0a000d0a515549540a";
/** PROXY, TCP over IPv4, 203.0.113.9:4000 → 192.0.2.1:6257. */
const fromIpv4 = bytes(`${signature}21 11 000c cb007109 c0000201 0fa0 1871`);

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(" ", ""), "hex");
}

function parse(header: Buffer): ReturnType<typeof parseProxyHeader> {
  const length = parseProxyLength(header.subarray(0, 16));
  return length === undefined ? undefined : parseProxyHeader(header.subarray(0, 16), header.subarray(16, 16 + length));
}

describe("the header of the PROXY protocol", () => {
  it("[NET-6] names the client, over IPv4 and IPv6, with or without what is not known", () => {
    expect(parse(fromIpv4)).toEqual({ clientAddress: "203.0.113.9" });
    const ipv6 = "20010db8000000000000000000000007 20010db8000000000000000000000001 0fa0 1871";
    expect(parse(bytes(`${signature}21 21 0024 ${ipv6}`))).toEqual({ clientAddress: "2001:db8:0:0:0:0:0:7" });
    expect(parse(bytes(`${signature}21 11 0010 cb007109 c0000201 0fa0 1871 04000100`))).toEqual({
      clientAddress: "203.0.113.9",
    });
  });

  it("[NET-6] may speak for the proxy itself", () => {
    expect(parse(bytes(`${signature}20 00 0000`))).toEqual({ clientAddress: undefined });
    expect(parse(bytes(`${signature}20 11 000c cb007109 c0000201 0fa0 1871`))).toEqual({ clientAddress: undefined });
    expect(parse(bytes(`${signature}21 00 0000`))).toEqual({ clientAddress: undefined });
  });

  it.each([
    ["another signature", "0d0a0d0a000d0a515549540b 21 11 000c cb007109 c0000201 0fa0 1871"],
    ["version 1", "50524f58592054435034203230332e302e3131332e392031"],
    ["another version", `${signature}11 11 000c cb007109 c0000201 0fa0 1871`],
    ["another command", `${signature}22 11 000c cb007109 c0000201 0fa0 1871`],
    ["UDP", `${signature}21 12 000c cb007109 c0000201 0fa0 1871`],
    ["a path of UNIX", `${signature}21 31 00d8 ${"00".repeat(216)}`],
    ["addresses cut short", `${signature}21 11 000b cb007109 c0000201 0fa0 18`],
    ["IPv6 in the length of IPv4", `${signature}21 21 000c cb007109 c0000201 0fa0 1871`],
  ])("[NET-6] is refused: %s", (_what, hex) => {
    expect(parse(bytes(hex))).toBeUndefined();
  });

  it("[NET-6] has at most 536 bytes", () => {
    expect(parseProxyLength(bytes(`${signature}21 11 0208`))).toBe(520);
    expect(parseProxyLength(bytes(`${signature}21 11 0209`))).toBeUndefined();
    expect(parseProxyLength(bytes(`${signature}21 11 ffff`))).toBeUndefined();
  });
});

it.each([
  ["10.1.2.3", true],
  ["::ffff:10.1.2.3", true],
  ["11.0.0.1", false],
  ["192.0.2.7", true],
  ["192.0.2.8", false],
  ["2001:db8::5", true],
  ["2001:db9::5", false],
  ["fe80::1%eth0", true],
])("[NET-5] trusts proxies by address and network: %s %s", (address, trusted) => {
  expect(new TrustedProxies(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "fe80::1"]).includes(address)).toBe(trusted);
});

describe("behind a proxy", () => {
  let cluster: TestCluster;
  afterEach(() => cluster.stop());

  const settings = { proxyProtocolFrom: ["127.0.0.1"], maxUnauthenticatedPerIp: 2 };

  function begin(header: Uint8Array, localAddress = "127.0.0.1"): { socket: Socket; gone: () => boolean } {
    const socket = connect({ port: cluster.target.port, host: "127.0.0.1", localAddress });
    let gone = false;
    socket.on("error", () => undefined);
    socket.on("close", () => (gone = true));
    socket.write(header);
    return { socket, gone: () => gone };
  }

  const from = (last: number): Buffer => {
    const header = Buffer.from(fromIpv4);
    header.writeUInt8(last, 19);
    return header;
  };

  it("[NET-5] [NET-6] counts clients by the address that the proxy says", async () => {
    cluster = await startTestCluster({ settings });
    const held = [begin(from(1)), begin(from(1)), begin(from(2))];
    await until("three handshakes", () => cluster.server.metrics.connections.handshake === 3);
    const third = begin(from(1));
    await until("the third to be turned away", third.gone);
    expect(cluster.server.metrics.refusals).toEqual({ TOO_MANY_FROM_ADDRESS: 1 });
    expect(cluster.log.text()).toContain("203.0.113.1");
    for (const { socket } of held) socket.destroy();
  });

  it("[NET-6] joins, also when header and TLS come in one piece, or byte by byte", async () => {
    cluster = await startTestCluster({ settings });
    for (const piecewise of [false, true]) {
      const { socket } = begin(piecewise ? fromIpv4.subarray(0, 1) : fromIpv4);
      if (piecewise) {
        for (const byte of fromIpv4.subarray(1)) {
          await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
        }
      }
      const client = await TestClient.open(cluster.target, { socket });
      client.join(await cluster.master.ticket());
      await client.next("welcome");
      client.close();
    }
    expect(cluster.server.metrics.refusals).toEqual({});
  });

  it("[NET-5] refuses who comes without one, or from elsewhere", async () => {
    cluster = await startTestCluster({ settings });
    const direct = TestClient.begin(cluster.target);
    await direct.gone();
    expect(cluster.server.metrics.refusals).toEqual({ PROXY_HEADER_MALFORMED: 1 });
    const stranger = begin(fromIpv4, "127.0.0.2");
    await until("the stranger's end", stranger.gone);
    expect(cluster.server.metrics.refusals).toEqual({ PROXY_HEADER_MALFORMED: 1, PROXY_NOT_TRUSTED: 1 });
    expect(cluster.server.metrics.connections.handshake).toBe(0);
  });

  it("[NET-6] does not wait for ever for a header, and counts in all those that wait", async () => {
    cluster = await startTestCluster({
      settings: { ...settings, maxUnauthenticated: 3 },
      limits: { handshakeTimeoutMs: 400 },
    });
    const dripping = [1, 2, 3].map(() => begin(fromIpv4.subarray(0, 5)));
    await until("three that wait", () => cluster.server.metrics.connections.handshake === 3);
    const fourth = begin(fromIpv4);
    await until("the fourth to be turned away", fourth.gone);
    await until("their end", () => dripping.every(({ gone }) => gone()));
    expect(cluster.server.metrics.refusals).toEqual({ TOO_MANY_UNAUTHENTICATED: 1, HANDSHAKE_TIMEOUT: 3 });
    // With every place but one free again, the last one can still be had by way of a proxy.
    const last = [begin(from(4)), begin(from(5)), begin(from(6))];
    await until("three handshakes", () => cluster.server.metrics.connections.handshake === 3);
    for (const { socket } of last) socket.destroy();
  });
});

it("[NET-5] believes nobody by default: a header is no TLS", async () => {
  const cluster = await startTestCluster();
  const socket = connect({ port: cluster.target.port, host: "127.0.0.1" });
  socket.on("error", () => undefined);
  socket.write(fromIpv4);
  const client = TestClient.begin(cluster.target, { socket });
  await client.gone();
  await until("the count", () => cluster.server.metrics.connections.handshake === 0);
  expect(cluster.server.metrics.refusals).toEqual({ HANDSHAKE_FAILED: 1 });
  await cluster.stop();
});
