import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type Server, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ensureCertificate } from "../keys/certificate.ts";
import { until } from "../testing/until.ts";
import { defaultPeerLimits, PeerConnection } from "./peer-connection.ts";
import { encodePeerFrameHead, peerFrameKinds } from "./peer-frame.ts";

let folder: string;
let server: Server;
/** The other side, which does what the test says. */
let other: TLSSocket;
let connection: PeerConnection;
let socket: TLSSocket;
let ends: string[];
let heard: number[];
/** What is done about a frame. */
let listen: (kind: number) => void;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sustenet-peer-"));
  const { keyPem, certificatePem, serverName } = await ensureCertificate(folder, "peer", "eu.a", new Date());
  server = createServer({ key: keyPem, cert: certificatePem }, (socket) => {
    other = socket;
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = address !== null && typeof address !== "string" ? address.port : 0;
  const accepted = new Promise((resolve) => server.once("secureConnection", resolve));
  socket = connect({ port, host: "127.0.0.1", ca: certificatePem, servername: serverName });
  await Promise.all([accepted, new Promise((resolve) => socket.once("secureConnect", resolve))]);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  ends = [];
  heard = [];
  listen = () => undefined;
  connection = new PeerConnection(socket, defaultPeerLimits, {
    onFrame: ({ kind }) => {
      heard.push(kind);
      listen(kind);
    },
    onEnd: (reason) => ends.push(reason),
  });
});
afterEach(async () => {
  vi.useRealTimers();
  connection.end("over");
  other.destroy();
  server.close();
  await rm(folder, { recursive: true });
});

describe("a link", () => {
  it("[PEER-5] may be silent for 6 s, and not a millisecond longer", async () => {
    other.resume();
    vi.advanceTimersByTime(5_999);
    expect(ends).toEqual([]);
    other.write(
      Buffer.concat([encodePeerFrameHead(peerFrameKinds.ping, 0), encodePeerFrameHead(peerFrameKinds.ghosts, 0)]),
    );
    await until("the sign of life", () => heard.length === 1);
    vi.advanceTimersByTime(5_999);
    expect([connection.open, ends]).toEqual([true, []]);
    vi.advanceTimersByTime(1);
    expect([connection.open, ends]).toEqual([false, ["silent"]]);
  });

  it("[PEER-6] may have 16 MiB wait to be sent, and not a byte more", () => {
    other.pause();
    const half = new Uint8Array(8 * 1_024 * 1_024);
    expect([connection.send(peerFrameKinds.ghosts, half), connection.queuedBytes > 0]).toEqual([true, true]);
    const room = defaultPeerLimits.maxQueuedBytes - connection.queuedBytes;
    expect(connection.send(peerFrameKinds.ghosts, new Uint8Array(room - 10))).toBe(true);
    expect(connection.send(peerFrameKinds.ping)).toBe(true);
    expect([connection.queuedBytes, ends]).toEqual([defaultPeerLimits.maxQueuedBytes, []]);
    expect([connection.send(peerFrameKinds.ping), ends]).toEqual([false, ["slow"]]);
  });

  it("[PEER-8] is not read while it rests, which is not silence", async () => {
    other.resume();
    expect(connection.rest(4_000)).toBe(true);
    expect(connection.rest(5_000), "it rests already").toBe(false);
    other.write(encodePeerFrameHead(peerFrameKinds.ghosts, 0));
    vi.advanceTimersByTime(4_999);
    expect([socket.isPaused(), heard, ends]).toEqual([true, [], []]);
    vi.advanceTimersByTime(1);
    expect(socket.isPaused()).toBe(false);
    await until("what came meanwhile", () => heard.length === 1);
    vi.advanceTimersByTime(5_999);
    expect([connection.open, connection.rest(1)]).toEqual([true, true]);
    connection.end("over");
    expect(connection.rest(1)).toBe(false);
  });

  it("[PEER-8] tells nothing while it rests of what has come already, and all of it in order after that", async () => {
    other.resume();
    listen = (kind) => {
      if (kind !== peerFrameKinds.ghosts) connection.rest(1_000);
    };
    const kinds = [peerFrameKinds.handover, peerFrameKinds.address, peerFrameKinds.ghosts, peerFrameKinds.ghosts];
    other.write(Buffer.concat(kinds.map((kind) => encodePeerFrameHead(kind, 0))));
    await until("the first", () => heard.length === 1);
    vi.advanceTimersByTime(999);
    expect(heard).toEqual(kinds.slice(0, 1));
    vi.advanceTimersByTime(1);
    expect([heard, socket.isPaused()]).toEqual([kinds.slice(0, 2), true]);
    vi.advanceTimersByTime(1_000);
    expect([heard, socket.isPaused()]).toEqual([kinds, false]);
  });

  it("[PEER-8] tells nothing more of what has come once it has ended while it rests", async () => {
    other.resume();
    listen = () => void connection.rest(1_000);
    other.write(
      Buffer.concat([encodePeerFrameHead(peerFrameKinds.handover, 0), encodePeerFrameHead(peerFrameKinds.ghosts, 0)]),
    );
    await until("the first", () => heard.length === 1);
    connection.end("over");
    vi.advanceTimersByTime(1_000);
    expect([heard, ends]).toEqual([[peerFrameKinds.handover], ["over"]]);
  });
});
