/** A process with players who load one server. Called over IPC by the harness. */
import { z } from "zod";
import { serveCalls } from "./calls.ts";
import { createColyseusWire } from "./load/colyseus-wire.ts";
import { createColyseusWorldWire } from "./load/colyseus-world-wire.ts";
import { type Endpoint, endpointSchema } from "./load/endpoint.ts";
import { type Pace, startPace } from "./load/pace.ts";
import { createRawWire } from "./load/raw-wire.ts";
import { createSdkWire } from "./load/sdk-wire.ts";
import { createSustenetWire } from "./load/sustenet-wire.ts";
import { createWebSocketWire } from "./load/websocket-wire.ts";
import type { Player, Wire } from "./load/wire.ts";

/** How often some of the players are attended to. */
const attendTickMs = 10;

const movesSchema = z.object({ perSecond: z.number(), side: z.number() });
const countSchema = z.object({ count: z.number(), perSecond: z.number() });

let endpoint: Endpoint | undefined;
let wire: Wire | undefined;
let links: Player[] = [];
let echo: Pace | undefined;
let moves: Pace | undefined;
let sent = 0;
/** Messages that arrived at players who have left. */
let receivedBefore = 0;

serveCalls({
  open: (params) => {
    endpoint = endpointSchema.parse(params);
    wire = createWire(endpoint);
    startAttending(wire);
  },
  /** Gets what `count` joins need beforehand. */
  prepare: (params) => opened().prepare(z.number().parse(params)),
  /** Lets players join at a fixed rate; resolves with how long each took, in milliseconds, when the last one is in. */
  join: async (params) => {
    const { count, perSecond } = countSchema.parse(params);
    return summary(await join(opened(), count, perSecond));
  },
  leave: async () => {
    receivedBefore += links.reduce((sum, link) => sum + link.received, 0);
    await Promise.all(links.map((link) => link.leave(opened().goodbye)));
    links = [];
  },
  /** Starts messages, evenly over all players, at a fixed rate in all. */
  startEcho: (params) => startEcho(z.number().parse(params)),
  /** Stops them; says how late the latest was and how long the round trips took. */
  stopEcho: () => {
    echo?.stop();
    const times = links.flatMap((link) => link.roundTrips ?? []);
    for (const link of links) link.roundTrips = undefined;
    return { worstLateMs: echo?.worstLateMs ?? 0, ...summary(times) };
  },
  startMoves: (params) => startMoves(movesSchema.parse(params)),
  stopMoves: () => moves?.stop(),
  counts: () => {
    const { user, system } = process.cpuUsage();
    const faults = links.flatMap(({ fault }) => fault ?? []);
    return {
      cpuUs: user + system,
      sent,
      received: links.reduce((sum, link) => sum + link.received, receivedBefore),
      updates: links.reduce((sum, link) => sum + link.updates, 0),
      seen: wire?.seen?.() ?? null,
      wrong: links.reduce((sum, link) => sum + link.wrong, 0),
      faults: faults.length,
      fault: faults[0] ?? null,
    };
  },
});

function opened(): Wire {
  if (wire === undefined) throw new Error("not opened");
  return wire;
}

function createWire(to: Endpoint): Wire {
  switch (to.wire) {
    case "raw":
      return createRawWire(to);
    case "websocket":
      return createWebSocketWire(to);
    case "colyseus":
      return to.seats === "sdk" ? createSdkWire(to) : createColyseusWire(to);
    case "colyseus-world":
      return createColyseusWorldWire(to);
    case "sustenet":
      return createSustenetWire(to);
  }
}

async function join(through: Wire, count: number, perSecond: number): Promise<number[]> {
  const times: number[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const pace = startPace(perSecond, (index) => {
    if (index >= count) return;
    const start = performance.now();
    through.join().then((link) => {
      links.push(link);
      times.push(performance.now() - start);
      if (times.length === count) resolve();
    }, reject);
  });
  try {
    await promise;
  } finally {
    pace.stop();
  }
  return times;
}

function startEcho(perSecond: number): void {
  const payloadBytes = endpoint?.payloadBytes ?? 0;
  const players = links.map((link, index) => {
    const payload = Buffer.alloc(payloadBytes, index + 1);
    link.expected = payload;
    link.roundTrips = [];
    return { link, bytes: opened().message(payload) };
  });
  echo = startPace(perSecond, (index) => {
    const player = players[index % players.length];
    sent += 1;
    player?.link.send(player.bytes);
  });
}

function startMoves({ perSecond, side }: z.infer<typeof movesSchema>): void {
  const { step } = opened();
  if (step === undefined) throw new Error("nobody can walk here");
  moves = startPace(perSecond, (index) => {
    const player = links[index % links.length];
    if (player === undefined) return;
    sent += 1;
    step(player, side);
  });
}

/** Each player in its turn, evenly spread over the time. */
function startAttending(to: Wire): void {
  const { attendMs } = to;
  if (attendMs === undefined) return;
  let due = 0;
  let next = 0;
  setInterval(() => {
    due += (links.length * attendTickMs) / attendMs;
    for (; due >= 1; due--) {
      const link = links[next++ % links.length];
      if (link !== undefined) to.attend(link);
    }
  }, attendTickMs);
}

function summary(times: readonly number[]): { p50Ms: number; p99Ms: number } {
  const sorted = Float64Array.from(times).sort();
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
