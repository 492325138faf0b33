import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { encodeJoin, encodePing, FrameParser, limits, messageTypes } from "../../protocol/index.ts";
import { hello } from "../../data-plane/testing/test-client.ts";
import { type ClusterFigures, ClusterProcess } from "./cluster-channel.ts";
import type { Corpus } from "./corpus.ts";
import { createRandom, cut, mutate, pick, type RandomBelow } from "./mutation.ts";
import { type FuzzResult, type FuzzRun, isOver, Progress } from "./progress.ts";

/** Attackers at a time. */
const attackers = 24;
/** Frames that one connection sends before its attacker takes another. */
const framesAConnection = 400;
const connectionTimeoutMs = 10_000;
/** How much more the process may hold than after its first rounds. */
const allowedGrowthMb = 64;
/** By then it holds all that it ever should: dropped players within their grace, and the ids of tickets in their life. */
const firstRoundsMs = 60_000;
/** CPU time that one turn of the cluster's event loop may take. Time that others have the core does not count. */
const allowedTurnMs = 2_000;
/** The fuzzer's own timers never come this late, unless it was suspended itself. */
const suspendedMs = 5_000;

/**
 * A live cluster, over TLS and over WebSocket, from peers that have joined and peers that have not. Its process must stay
 * healthy: no error of its own, no growth, and a player beside all that gets every answer.
 */
export async function fuzzCluster(run: FuzzRun, corpus: Corpus): Promise<FuzzResult> {
  const progress = new Progress("cluster", run);
  const measureAtMs = performance.now() + firstRoundsMs;
  const cluster = await ClusterProcess.start();
  try {
    let bystander = await Bystander.join(cluster);
    let longestPingMs = 0;
    let seed = run.seed;
    let first: ClusterFigures | undefined;
    let longestTurnMs = 0;
    let last = await cluster.figures();
    while (!isOver(run, progress.frames)) {
      const tickets = await cluster.tickets(attackers);
      await Promise.all(
        tickets.map(async (ticket, index) => {
          seed = (seed + 1) | 0;
          const stage = index % 3 === 0 ? "stranger" : "player";
          await attack(createRandom(seed), cluster, corpus, index % 4 === 3, stage === "player" ? ticket : undefined);
        }),
      );
      const figures = await cluster.figures();
      const refused = Object.values(figures.refusals).reduce((sum, count) => sum + count, 0);
      progress.count(figures.framesIn - last.framesIn, refused - progress.refused);
      last = figures;
      longestTurnMs = Math.max(longestTurnMs, figures.turnMs);
      longestPingMs = Math.max(longestPingMs, bystander.longestMs);
      first ??= performance.now() > measureAtMs ? figures : undefined;
      progress.show(`, ${Math.round(figures.heapMb)} MB held`);
      // Who was suspended, said nothing meanwhile, and may be gone for that alone.
      if (bystander.wasSuspended) {
        bystander.leave();
        bystander = await Bystander.join(cluster);
      }
      const fault = faultOf(figures, first, bystander, run.patienceMs);
      if (fault !== undefined) return progress.result(`seed ${seed}: ${fault}`);
    }
    bystander.leave();
    return progress.result(undefined, {
      joins: last.joins,
      heapMbAtFirst: Math.round(first?.heapMb ?? last.heapMb),
      heapMb: Math.round(last.heapMb),
      rssMb: Math.round(last.rssMb),
      longestTurnMs: Math.round(longestTurnMs),
      longestPingMs: Math.round(longestPingMs),
    });
  } finally {
    cluster.stop();
  }
}

function faultOf(
  now: ClusterFigures,
  first: ClusterFigures | undefined,
  bystander: Bystander,
  patienceMs: number,
): string | undefined {
  const [error] = now.errors;
  if (error !== undefined) return `the cluster logged an error: ${error}`;
  if (first !== undefined && now.heapMb > first.heapMb + allowedGrowthMb) {
    return `it holds ${Math.round(now.heapMb)} MB, after ${Math.round(first.heapMb)} MB at first`;
  }
  if (bystander.gone) return "a player beside all that was closed";
  if (now.turnMs > allowedTurnMs) return `a turn of its event loop took ${Math.round(now.turnMs)} ms of CPU time`;
  return bystander.longestMs > patienceMs ? `a player waited ${Math.round(bystander.longestMs)} ms` : undefined;
}

/** A connection that says mutated frames, until the cluster ends it or it has said enough. */
async function attack(
  random: RandomBelow,
  { target }: ClusterProcess,
  corpus: Corpus,
  overWebSocket: boolean,
  ticket: string | undefined,
): Promise<void> {
  const localAddress = `127.${1 + random(250)}.${random(250)}.${1 + random(250)}`;
  const tcp = connectTcp({
    host: "127.0.0.1",
    port: overWebSocket ? target.webSocketPort : target.port,
    localAddress,
    noDelay: true,
  });
  const socket = connectTls({ socket: tcp, servername: target.serverName, ca: target.caPem });
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, connectionTimeoutMs);
  for (const stream of [tcp, socket]) stream.on("error", () => resolve());
  socket.on("close", () => resolve());
  const say = (frames: readonly Uint8Array[], head: readonly Uint8Array[] = []): void => {
    const bytes = Buffer.concat([...head, ...frames.map((frame) => (overWebSocket ? masked(random, frame) : frame))]);
    for (const piece of cut(random, bytes, 1 + random(3_000))) socket.write(piece);
  };
  socket.on("secureConnect", () => {
    say(openingFrames(random, corpus, ticket), overWebSocket ? [upgradeRequest] : []);
    if (ticket === undefined) {
      say(laterFrames(random, corpus, 20));
      socket.end();
    }
  });
  // A player says nothing between JOIN and WELCOME; the answer to the upgrade comes before both.
  let heard = "";
  socket.on("data", (piece: Buffer) => {
    if (ticket === undefined || heard === "all") return;
    heard += piece.toString("latin1");
    if (overWebSocket && (heard.split("\r\n\r\n", 2)[1] ?? "") === "") return;
    heard = "all";
    say(laterFrames(random, corpus, framesAConnection));
    socket.end();
  });
  await promise;
  clearTimeout(timer);
  socket.destroy();
}

const upgradeRequest = Buffer.from(
  [
    "GET / HTTP/1.1",
    "Host: x",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
    "Sec-WebSocket-Protocol: sustenet.v1",
    "\r\n",
  ].join("\r\n"),
);

function openingFrames(random: RandomBelow, corpus: Corpus, ticket: string | undefined): Uint8Array[] {
  if (ticket !== undefined) return [hello(), encodeJoin({ ticket })];
  const opening = [hello(), encodeJoin({ ticket: "a.b.c" })];
  return opening.map((frame) => (random(3) === 0 ? frame : mutate(random, frame, corpus.all)));
}

/** Most are sound, so that the stream lives long enough to get somewhere. */
function laterFrames(random: RandomBelow, corpus: Corpus, count: number): Uint8Array[] {
  return Array.from({ length: count }, () =>
    random(150) === 0 ? mutate(random, pick(random, corpus.fromClient), corpus.all) : soundFrame(random),
  );
}

/** A frame that a player may send: its content is anything. */
function soundFrame(random: RandomBelow): Uint8Array {
  if (random(4) === 0) return encodePing({ timeMs: random(1_000_000) });
  const payload = Array.from({ length: random(60) }, () => random(256));
  return Uint8Array.of(payload.length + 2, 0, messageTypes.message, random(256), ...payload);
}

/** A frame as a message of WebSocket, now and then with a head that is wrong. */
function masked(random: RandomBelow, frame: Uint8Array): Uint8Array {
  const body = frame.subarray(2);
  const first = random(200) === 0 ? random(256) : 0x82;
  const length = body.length < 126 ? [0x80 | body.length] : [0xfe, body.length >> 8, body.length & 0xff];
  return Uint8Array.of(first, ...length, 0, 0, 0, 0, ...body);
}

/** A player who asks all the while whether the cluster is there. */
class Bystander {
  longestMs = 0;
  gone = false;
  /** Whether this process did not run for so long that what was measured is worth nothing. */
  wasSuspended = false;
  readonly #timer: NodeJS.Timeout;
  readonly #end: () => void;
  #askedAtMs: number | undefined;

  private constructor(ask: () => void, end: () => void) {
    this.#end = end;
    let turnedAtMs = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.wasSuspended ||= now - turnedAtMs > suspendedMs;
      turnedAtMs = now;
      if (this.wasSuspended) return;
      if (this.#askedAtMs === undefined) {
        this.#askedAtMs = now;
        ask();
      } else {
        this.longestMs = Math.max(this.longestMs, now - this.#askedAtMs);
      }
    }, 20);
  }

  static async join(cluster: ClusterProcess): Promise<Bystander> {
    const { port, serverName: servername, caPem: ca } = cluster.target;
    const [ticket = ""] = await cluster.tickets(1);
    const socket = connectTls({ host: "127.0.0.1", port, servername, ca });
    const parser = new FrameParser(limits.maxFrameBytes);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let bystander: Bystander | undefined;
    socket.on("error", reject);
    socket.on("close", () => {
      reject(new Error("the first player could not join"));
      if (bystander !== undefined) bystander.gone = true;
    });
    socket.on("data", (piece: Buffer) => {
      parser.push(piece, ([type]) => {
        if (type === messageTypes.welcome) resolve();
        if (type === messageTypes.pong) bystander?.answered();
        return true;
      });
    });
    socket.write(Buffer.concat([hello(), encodeJoin({ ticket })]));
    await promise;
    bystander = new Bystander(
      () => socket.write(encodePing({ timeMs: 0 })),
      () => socket.destroy(),
    );
    return bystander;
  }

  answered(): void {
    if (this.#askedAtMs !== undefined) this.longestMs = Math.max(this.longestMs, performance.now() - this.#askedAtMs);
    this.#askedAtMs = undefined;
  }

  leave(): void {
    clearInterval(this.#timer);
    this.#end();
  }
}
