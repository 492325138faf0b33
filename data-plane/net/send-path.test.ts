import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { connect as connectPlain, createServer as createPlainServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { connect, createServer, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { encodeMessage, FrameParser, limits, messageTypes, NumberedStreams } from "../../protocol/index.ts";
import { createRandom, type Random } from "../../test/simulation/random.ts";
import { createCertificate } from "../keys/certificate.ts";
import { until } from "../testing/until.ts";
import { Outbox } from "./outbox.ts";
import type { PlayerSocket } from "./player-socket.ts";
import { TickEnd } from "./tick-end.ts";
import { TlsPlayerSocket } from "./tls-player-socket.ts";
import { TurnEnd } from "./turn-end.ts";
import { WebSocketPlayerSocket } from "./websocket-player-socket.ts";

const serverName = "send-path.test";
const commands = { reliable: 1, bulk: 2, state: 3 } as const;
const headBytes = 8;
const stateKeys = 6;

/** What a message of this number says: no two that lie near each other are alike at any place. */
function payloadOf(command: number, key: number, number: number, byteLength: number): Uint8Array {
  const bytes = Buffer.alloc(headBytes + byteLength);
  bytes.writeUInt32LE(key, 0);
  bytes.writeUInt32LE(number, 4);
  for (let at = headBytes; at < bytes.length; at += 1) bytes[at] = number * 31 + key * 11 + command + at * 7;
  return bytes;
}

/** A client that reads when it is told to, and holds everything it gets against what was said. */
class Reader {
  /** Numbered frames that have come, over all connections. */
  numbered = 0;
  readonly next: Record<number, number> = { [commands.reliable]: 0, [commands.bulk]: 0 };
  readonly states = new Map<number, number>();
  readonly faults: string[] = [];
  #connection = 0;

  /** Takes frames, without their lengths, of a new connection; those of the one before are not heard any more. */
  begin(): (frame: Uint8Array) => void {
    this.#connection += 1;
    const connection = this.#connection;
    return (frame) => {
      if (connection === this.#connection) this.#take(Buffer.from(frame));
    };
  }

  /** Hears nothing more of the connection that it has. */
  cut(): void {
    this.#connection += 1;
  }

  #take(frame: Buffer): void {
    const [type, command = 0] = frame;
    const payload = frame.subarray(2);
    const key = payload.readUInt32LE(0);
    const number = payload.readUInt32LE(4);
    const isState = type === messageTypes.state;
    const isAsSaid = payloadOf(command, key, number, payload.length - headBytes);
    if (!payload.equals(isAsSaid)) this.faults.push(`${command}/${key}/${number}: other bytes than were sent`);
    if (isState) {
      if (number <= (this.states.get(key) ?? -1)) this.faults.push(`state ${key}: ${number} came late`);
      this.states.set(key, number);
      return;
    }
    this.numbered += 1;
    if (number !== this.next[command]) this.faults.push(`${command}: ${number} in place of ${this.next[command]}`);
    this.next[command] = number + 1;
  }
}

interface Connection {
  readonly socket: PlayerSocket;
  pause(): unknown;
  resume(): unknown;
  /** Ends both sides at once. */
  cut(): void;
}

let folder: string;
let pem: string;
let secure: (socket: TLSSocket) => void = () => undefined;
let plain: (socket: Socket) => void = () => undefined;
const path = (): string => join(folder, "s");
const plainPath = (): string => join(folder, "p");
const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const servers: { close(): unknown }[] = [];

// A socket of the machine's own: TLS and backpressure are the same as over TCP, and far less fits into it.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "send-path-"));
  pem = await createCertificate(serverName, new Date());
  const tls = createServer({ key: pem, cert: pem }, (socket) => secure(socket));
  const bare = createPlainServer((socket) => plain(socket));
  servers.push(tls, bare);
  await new Promise<void>((resolve) => tls.listen(path(), resolve));
  await new Promise<void>((resolve) => bare.listen(plainPath(), resolve));
});
afterAll(async () => {
  for (const server of servers) server.close();
  await rm(folder, { recursive: true, force: true });
});

const dial = (): TLSSocket => connect({ path: path(), servername: serverName, ca: pem });
const listener = {
  onBytes: () => true,
  onFrame: () => true,
  onOwnWrite: () => undefined,
  onFault: () => undefined,
  onClose: () => undefined,
};

async function openTls(onFrame: (frame: Uint8Array) => void): Promise<Connection> {
  const accepted = new Promise<TLSSocket>((resolve) => (secure = resolve));
  const client = dial();
  const parser = new FrameParser(limits.maxFrameBytes);
  client.on("error", () => undefined);
  client.on("data", (piece: Buffer) => {
    parser.push(piece, (frame) => {
      onFrame(frame);
      return true;
    });
  });
  return connected(new TlsPlayerSocket(await accepted, ""), client, () => client.destroy());
}

function connected(
  socket: PlayerSocket,
  client: Pick<Connection, "pause" | "resume">,
  endClient: () => void,
): Connection {
  socket.listen(listener);
  return {
    socket,
    pause: () => client.pause(),
    resume: () => client.resume(),
    cut: () => {
      endClient();
      socket.destroy();
    },
  };
}

async function openWebSocket(onFrame: (frame: Uint8Array) => void, isPlain = false): Promise<Connection> {
  const http = createHttpServer();
  secure = (socket) => http.emit("connection", socket);
  plain = (socket) => http.emit("connection", socket);
  const accepted = new Promise<PlayerSocket>((resolve) => {
    http.on("upgrade", (request, stream, head) => {
      webSockets.handleUpgrade(request, stream, head, (one) => resolve(new WebSocketPlayerSocket(one, stream, "")));
    });
  });
  const client = new WebSocket(`${isPlain ? "ws" : "wss"}://${serverName}/`, {
    createConnection: isPlain ? () => connectPlain(plainPath()) : dial,
    perMessageDeflate: false,
  });
  client.on("error", () => undefined);
  client.on("message", (data) => {
    if (Buffer.isBuffer(data)) onFrame(data);
  });
  const opened = new Promise<void>((resolve) => client.once("open", () => resolve()));
  const socket = await accepted;
  await opened;
  return connected(socket, client, () => client.terminate());
}

/** TLS takes a copy of what it is given; here the machine looks at the bytes until the last of them has gone. */
const openPlain = (onFrame: (frame: Uint8Array) => void): Promise<Connection> => openWebSocket(onFrame, true);

/** Says things of all lanes to a reader that stops and goes on, over one connection after another. */
class Run {
  readonly #random: Random;
  readonly #open: (onFrame: (frame: Uint8Array) => void) => Promise<Connection>;
  readonly reader = new Reader();
  readonly #streams = new NumberedStreams({ maxFrames: 100_000, maxBytes: 100_000_000 });
  readonly #tickEnd = new TickEnd();
  readonly #turnEnd = new TurnEnd();
  readonly #said = { [commands.reliable]: 0, [commands.bulk]: 0 };
  /** The last of each key since the connection was opened. */
  readonly #states = new Map<number, number>();
  #version = 0;
  #connection: Connection | undefined;
  #outbox: Outbox | undefined;

  constructor(seed: number, open: (onFrame: (frame: Uint8Array) => void) => Promise<Connection>) {
    this.#random = createRandom(seed);
    this.#open = open;
  }

  /** Opens a connection; what an earlier one left goes on over it. */
  async connect(): Promise<void> {
    const older = this.#outbox;
    older?.detach();
    this.reader.cut();
    this.#connection?.cut();
    const again = this.#streams.unreceived(this.reader.numbered);
    if (again === undefined) throw new Error("what the client has missed is not kept");
    this.#streams.acknowledge(this.reader.numbered);
    // Said while there is no connection.
    if (older !== undefined) this.say();
    const connection = await this.#open(this.reader.begin());
    const outbox = this.#createOutbox(connection.socket);
    for (const frame of again) outbox.send("again", frame);
    if (older !== undefined) outbox.adopt(older);
    outbox.keeper = this.#streams;
    this.#connection = connection;
    this.#outbox = outbox;
    this.#states.clear();
  }

  #createOutbox(socket: PlayerSocket): Outbox {
    const owner = { onOverflow: () => this.reader.faults.push("overflow") };
    return new Outbox(socket, owner, {
      turnEnd: this.#turnEnd,
      tickEnd: this.#tickEnd,
      limits: { maxQueuedBytes: 100_000_000, maxQueuedFrames: 100_000 },
      pulse: { elapsedMs: 0 },
      metrics: { framesOut: 0, writes: 0, bytesOut: 0 },
    });
  }

  say(): void {
    const { between, fraction } = this.#random;
    const outbox = this.#outbox;
    for (let count = between(0, 8); count > 0; count -= 1) {
      this.#sayMessage();
    }
    if (fraction() < 0.05) {
      const payload = this.#numbered(commands.bulk);
      outbox?.send("bulk", encodeMessage({ command: commands.bulk, payload }));
    }
    for (let count = fraction() < 0.7 ? between(0, stateKeys) : 0; count > 0; count -= 1) {
      this.#sayState(between(1, stateKeys), this.#length());
    }
    if (fraction() < 0.5) this.#tickEnd.run();
  }

  #sayState(key: number, byteLength: number): void {
    this.#version += 1;
    this.#states.set(key, this.#version);
    const payload = payloadOf(commands.state, key, this.#version, byteLength);
    this.#outbox?.setStateMessage(key, messageTypes.state, commands.state, payload);
  }

  #sayMessage(): void {
    this.#outbox?.sendMessage(commands.reliable, this.#numbered(commands.reliable));
  }

  async step(): Promise<void> {
    const { fraction } = this.#random;
    this.say();
    const turn = fraction();
    if (turn < 0.03) this.#connection?.pause();
    else if (turn < 0.06) this.#connection?.resume();
    if (fraction() < 0.3) this.#streams.acknowledge(this.reader.numbered);
    if (fraction() < 0.02) this.#outbox?.settle(this.#streams);
    if (fraction() < 0.01) await this.#fill(fraction() < 0.5);
    if (fraction() < 0.7) await nextTurn();
  }

  /** The reader stops until a write is stuck that is of messages alone, or of state alone; more of the same is said behind it. */
  async #fill(isState: boolean): Promise<void> {
    const say = (): void => {
      if (!isState) return this.#sayMessage();
      for (let key = 1; key <= stateKeys; key += 1) this.#sayState(key, this.#random.between(150, 250));
      this.#tickEnd.run();
    };
    await this.#arrive();
    this.#connection?.pause();
    const deadline = performance.now() + 30_000;
    do {
      say();
      if (performance.now() > deadline) throw new Error("no write gets stuck");
    } while (!(await this.#isStuck()));
    for (let count = this.#random.between(1, 60); count > 0; count -= 1) {
      say();
      if (this.#random.fraction() < 0.3) this.#outbox?.settle(this.#streams);
      // A client may claim what it has not received: what is on its way must stay as it is all the same.
      this.#streams.acknowledge(this.#streams.lastOutput);
    }
    await nextTurn();
    await this.#arrive();
  }

  /** Everything has to come without another word: what waits for a write that is stuck, and what one write has no room for. */
  async end(): Promise<void> {
    await this.#fill(true);
    await this.#fill(false);
    for (let count = 0; count < 8; count += 1) {
      const payload = this.#numbered(commands.bulk);
      this.#outbox?.send("bulk", encodeMessage({ command: commands.bulk, payload }));
    }
    await this.#arrive();
    this.#connection?.cut();
  }

  async #arrive(): Promise<void> {
    this.#tickEnd.run();
    this.#connection?.resume();
    const { next, faults } = this.reader;
    await until("all that was said", () => {
      const isAllHere = next[commands.reliable] === this.#said[1] && next[commands.bulk] === this.#said[2];
      return faults.length > 0 || (isAllHere && this.#outbox?.queuedBytes === 0 && this.#areStatesHere());
    });
  }

  /** Whether what was written last does not go, and nothing waits for it. */
  async #isStuck(): Promise<boolean> {
    for (let turn = 0; turn < 4; turn += 1) {
      await nextTurn();
      if (this.#connection?.socket.isWriting !== true) return false;
    }
    return true;
  }

  #areStatesHere(): boolean {
    return [...this.#states].every(([key, version]) => this.reader.states.get(key) === version);
  }

  #numbered(command: 1 | 2): Uint8Array {
    const number = this.#said[command];
    this.#said[command] = number + 1;
    const byteLength = command === commands.bulk ? this.#random.between(0, 60_000) : this.#length();
    return payloadOf(command, 0, number, byteLength);
  }

  #length(): number {
    const { between, fraction } = this.#random;
    const which = fraction();
    if (which < 0.9) return between(0, 150);
    return which < 0.98 ? between(900, 1_200) : between(1_200, 6_000);
  }
}

describe.each([
  ["TLS", openTls],
  ["WebSocket", openWebSocket],
  ["WebSocket without TLS", openPlain],
] as const)("the way to a player over %s", (_name, open) => {
  it.each([1, 2, 3])(
    "[RESUME-3] [LATEST-1] brings every byte as it was said, to a reader that stops and comes back: %i",
    async (seed) => {
      const run = new Run(seed, open);
      for (let connection = 0; connection < 4; connection += 1) {
        await run.connect();
        for (let step = 0; step < 300; step += 1) await run.step();
      }
      await run.end();
      expect(run.reader.faults.slice(0, 3)).toEqual([]);
    },
  );
});
