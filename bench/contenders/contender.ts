import { z } from "zod";

/** The servers that are measured. */
export const contenderNames = [
  "sustenet",
  "sustenet-state",
  "sustenet-world",
  "sustenet-crowd",
  "raw-tls",
  "raw-tls-one-write",
  "raw-tls-world",
  "raw-wss",
  "colyseus-wss",
  "colyseus-ws",
  "colyseus-world",
] as const;

export type ContenderName = (typeof contenderNames)[number];

/** As the table calls them. */
export const contenderTitles: Readonly<Record<ContenderName, string>> = {
  sustenet: "Sustenet",
  "sustenet-state": "Sustenet, as latest-only state",
  "raw-tls": "raw node:tls",
  "raw-tls-one-write": "raw node:tls, a tick in one write",
  "sustenet-world": "Sustenet, a world",
  "sustenet-crowd": "Sustenet, a crowd",
  "raw-tls-world": "raw node:tls, the same bytes",
  "raw-wss": "raw ws over TLS",
  "colyseus-wss": "Colyseus wss",
  "colyseus-ws": "Colyseus ws (no encryption)",
  "colyseus-world": "Colyseus wss, a StateView each",
};

/** What a Colyseus server calls its one kind of room. */
export const roomName = "game";

/** Types of the messages of a game on Colyseus. Numbers are the cheapest kind that it has. */
export const messageKinds = { game: 1, place: 2 } as const;

/** The only cipher that any contender offers. */
export const cipher = "TLS_AES_256_GCM_SHA384";

/** What every server is told. All have the same certificate. */
export const serverOptions = z.object({
  contender: z.enum(contenderNames),
  keyPem: z.string(),
  certificatePem: z.string(),
  /** Ticks a second, of a server that has ticks. */
  tickHz: z.number(),
  /** How many players there will be. */
  players: z.number().optional(),
  /** Where a cluster finds its keys and its master. */
  cluster: z.object({ keysDir: z.string(), masterUrl: z.string() }),
});

export type ServerOptions = z.infer<typeof serverOptions>;

/** What a server sends by itself: each tick so many messages of so many bytes to each player, no two alike. */
export const tickWork = z.object({ messages: z.number(), payloadBytes: z.number() });

export type TickWork = z.infer<typeof tickWork>;

/** What a world has done since it started. */
export interface WorldWork {
  readonly frames: number;
  readonly bytes: number;
  /** Updates of entities that players were sent, with those that came into view; `undefined` where the players count them. */
  readonly updates?: number;
  readonly crossings: number;
  readonly held: number;
  /** For each of the cluster's bounds of tick times, how many ticks were within it. */
  readonly ticks: readonly number[];
}

/** A server under measurement. Echoes every message of the game; sends by itself while it has work. */
export interface Contender {
  readonly port: number;
  /** Players in the game now. */
  players(): number;
  setWork(work: TickWork | undefined): void;
  /** What a world has shown so far. */
  world?(): WorldWork;
}

/** The same settings for every TLS server here. */
export function tlsOptions(options: ServerOptions): {
  key: string;
  cert: string;
  minVersion: "TLSv1.3";
  ciphers: string;
} {
  return { key: options.keyPem, cert: options.certificatePem, minVersion: "TLSv1.3", ciphers: cipher };
}

/** Writes what makes a message different from all others: tick, player, number. */
export function stamp(payload: Uint8Array, at: number, tick: number, player: number, message: number): void {
  writeU32(payload, at, tick);
  writeU32(payload, at + 4, player);
  writeU32(payload, at + 8, message);
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Calls `onTick` so many times a second for ever, without drifting; ticks that are missed are left out. */
export function startTicking(tickHz: number, onTick: (tick: number) => void): void {
  const start = performance.now();
  let tick = 0;
  const run = (): void => {
    const now = Math.floor(((performance.now() - start) * tickHz) / 1_000);
    if (now > tick) {
      tick = now;
      onTick(tick);
    }
    setTimeout(run, start + ((tick + 1) * 1_000) / tickHz - performance.now());
  };
  setTimeout(run, 1_000 / tickHz);
}
