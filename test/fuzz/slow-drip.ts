/**
 * `node test/fuzz/slow-drip.ts [--players N] [--sockets N] [--rounds N] [--seconds S]`: what half-open and dripping sockets
 * cost those who play: the round trips of players, without and with attackers, in turn. Cluster, attackers and players
 * are processes of their own. Ends with a line of JSON.
 */
import { fork } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { parseArgs } from "node:util";
import { z } from "zod";
import { encodeJoin, encodePing, FrameParser, limits, messageTypes } from "../../protocol/index.ts";
import { hello } from "../../data-plane/testing/test-client.ts";
import { until } from "../../data-plane/testing/until.ts";
import { ClusterProcess } from "./cluster-channel.ts";

export interface SlowDripOptions {
  readonly players: number;
  readonly sockets: number;
  readonly rounds: number;
  /** Of each half of a round. */
  readonly seconds: number;
  /** Ends with the first round that is within the rule. */
  readonly untilWithin?: boolean;
}

export interface RoundTrips {
  readonly samples: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Share of a core that the cluster took meanwhile. */
  readonly clusterCpu: number;
}

export interface SlowDripRound {
  readonly before: RoundTrips;
  readonly during: RoundTrips;
  /** Least and greatest number of attackers' sockets that the cluster held meanwhile. */
  readonly held: readonly [number, number];
  readonly within: boolean;
}

export interface SlowDripResult {
  readonly rounds: readonly SlowDripRound[];
  readonly refusals: Readonly<Record<string, number>>;
  /** Players that were closed meanwhile. */
  readonly lost: number;
}

/** Each player asks so often. */
const pingIntervalMs = 200;
const opened = z.object({ open: z.number() });

/** What the rule allows: 1.5 times, or 5 ms more. */
export function isWithin(before: RoundTrips, during: RoundTrips): boolean {
  return during.p99Ms <= before.p99Ms * 1.5 || during.p99Ms <= before.p99Ms + 5;
}

export async function measureSlowDrip(options: SlowDripOptions): Promise<SlowDripResult> {
  const cluster = await ClusterProcess.start();
  const players: PingingPlayer[] = [];
  try {
    for (const ticket of await cluster.tickets(options.players))
      players.push(await PingingPlayer.join(cluster, ticket));
    const rounds: SlowDripRound[] = [];
    await measure(cluster, players, 1);
    while (rounds.length < options.rounds) {
      const round = await measureRound(cluster, players, options);
      rounds.push(round);
      if (options.untilWithin === true && round.within) break;
    }
    const { refusals } = await cluster.figures();
    return { rounds, refusals, lost: players.filter(({ gone }) => gone).length };
  } finally {
    for (const player of players) player.leave();
    cluster.stop();
  }
}

async function measureRound(
  cluster: ClusterProcess,
  players: readonly PingingPlayer[],
  { sockets, seconds }: SlowDripOptions,
): Promise<SlowDripRound> {
  const before = await measure(cluster, players, seconds);
  const { port, webSocketPort, serverName } = cluster.target;
  const args = [port, webSocketPort, serverName, sockets].map(String);
  const attackers = fork(join(import.meta.dirname, "attackers.ts"), args);
  let open = 0;
  attackers.on("message", (message) => (open = opened.parse(message).open));
  try {
    await until("the attackers to be there", () => open >= sockets * 0.9, 60_000);
    const held: number[] = [];
    const watch = setInterval(() => held.push(open), 200);
    const during = await measure(cluster, players, seconds);
    clearInterval(watch);
    return { before, during, held: [Math.min(...held), Math.max(...held)], within: isWithin(before, during) };
  } finally {
    attackers.disconnect();
    await until("the attackers to be gone", () => attackers.exitCode !== null, 60_000);
    await sleep(500);
  }
}

/** The round trips of all players together, for so long. */
async function measure(
  cluster: ClusterProcess,
  players: readonly PingingPlayer[],
  seconds: number,
): Promise<RoundTrips> {
  const samples: number[] = [];
  const { cpuMs: cpuBeforeMs } = await cluster.figures();
  const startedAtMs = performance.now();
  for (const player of players) player.samples = samples;
  await sleep(seconds * 1_000);
  for (const player of players) player.samples = [];
  const { cpuMs } = await cluster.figures();
  const clusterCpu = Math.round(((cpuMs - cpuBeforeMs) / (performance.now() - startedAtMs)) * 100) / 100;
  samples.sort((a, b) => a - b);
  const at = (share: number): number => Math.round((samples[Math.floor(samples.length * share)] ?? 0) * 100) / 100;
  return { samples: samples.length, p50Ms: at(0.5), p99Ms: at(0.99), clusterCpu };
}

/** A player that does nothing but ask for the time. */
class PingingPlayer {
  samples: number[] = [];
  gone = false;
  readonly #end: () => void;

  private constructor(end: () => void) {
    this.#end = end;
  }

  static async join(cluster: ClusterProcess, ticket: string): Promise<PingingPlayer> {
    const { port, serverName: servername, caPem: ca } = cluster.target;
    const socket = connect({ host: "127.0.0.1", port, servername, ca });
    socket.setNoDelay(true);
    let timer: NodeJS.Timeout | undefined;
    const player = new PingingPlayer(() => socket.destroy());
    const parser = new FrameParser(limits.maxFrameBytes);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.on("error", reject);
    socket.on("close", () => {
      player.gone = true;
      clearInterval(timer);
      reject(new Error("a player could not join"));
    });
    socket.on("data", (piece: Buffer) => {
      parser.push(piece, (frame) => {
        if (frame[0] === messageTypes.welcome) resolve();
        if (frame[0] === messageTypes.pong) {
          const askedAtMs = new DataView(frame.buffer, frame.byteOffset).getFloat64(1, true);
          player.samples.push(performance.now() - askedAtMs);
        }
        return true;
      });
    });
    socket.write(Buffer.concat([hello(), encodeJoin({ ticket })]));
    await promise;
    const ask = (): void => void socket.write(encodePing({ timeMs: performance.now() }));
    setTimeout(() => (timer = setInterval(ask, pingIntervalMs)), Math.random() * pingIntervalMs);
    return player;
  }

  leave(): void {
    this.#end();
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      players: { type: "string", default: "200" },
      sockets: { type: "string", default: "2000" },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "6" },
    },
  });
  const result = await measureSlowDrip({
    players: Number(values.players),
    sockets: Number(values.sockets),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
  });
  for (const { before, during, held, within } of result.rounds) {
    console.log(
      `p50 ${before.p50Ms} → ${during.p50Ms} ms, p99 ${before.p99Ms} → ${during.p99Ms} ms, cluster's core ${before.clusterCpu} → ${during.clusterCpu}, with ${held.join(" to ")} sockets held: ${within ? "within" : "over"}`,
    );
  }
  console.log(JSON.stringify(result));
  process.exit(result.lost === 0 && result.rounds.some(({ within }) => within) ? 0 : 1);
}
