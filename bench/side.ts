import { z } from "zod";
import { Child } from "./child.ts";
import type { ContenderName, ServerOptions, TickWork } from "./contenders/contender.ts";
import type { Endpoint, SeatWay } from "./load/endpoint.ts";
import type { Setup } from "./setup.ts";

const countsSchema = z.object({
  cpuUs: z.number(),
  sent: z.number(),
  received: z.number(),
  updates: z.number(),
  seen: z.number().nullable(),
  wrong: z.number(),
  faults: z.number(),
  fault: z.string().nullable(),
});

const timesSchema = z.object({ p50Ms: z.number(), p99Ms: z.number() });

const echoSchema = timesSchema.extend({ worstLateMs: z.number() });

const worldSchema = z.object({
  frames: z.number().default(0),
  bytes: z.number().default(0),
  updates: z.number().optional(),
  held: z.number().default(0),
  ticks: z.array(z.number()).default([]),
});

export type WorldCounts = z.infer<typeof worldSchema>;

export type LoadCounts = z.infer<typeof countsSchema>;

export interface SideOptions {
  readonly contender: ContenderName;
  readonly payloadBytes: number;
  readonly tickHz: number;
  readonly players?: number;
  readonly seats?: SeatWay;
  readonly nodeArguments?: readonly string[];
}

const wires: Readonly<Record<ContenderName, Endpoint["wire"]>> = {
  sustenet: "sustenet",
  "sustenet-state": "sustenet",
  "sustenet-world": "sustenet",
  "sustenet-crowd": "sustenet",
  "raw-tls": "raw",
  "raw-tls-world": "raw",
  "raw-tls-one-write": "raw",
  "raw-wss": "websocket",
  "colyseus-wss": "colyseus",
  "colyseus-ws": "colyseus",
  "colyseus-world": "colyseus-world",
};

/** A server under measurement and the load that plays with it: a process each, each on its core. */
export class Side {
  readonly options: SideOptions;
  readonly #server: Child;
  readonly #load: Child;

  private constructor(options: SideOptions, server: Child, load: Child) {
    this.options = options;
    this.#server = server;
    this.#load = load;
  }

  /** Starts both processes. Nobody has joined yet. */
  static async open(setup: Setup, options: SideOptions): Promise<Side> {
    const { contender } = options;
    const { certificate, cores, master } = setup;
    const server = new Child(`server of ${contender}`, "server.ts", cores.server, options.nodeArguments);
    const load = new Child(`load of ${contender}`, "load.ts", cores.load);
    try {
      const started = await server.call("start", {
        contender,
        keyPem: certificate.keyPem,
        certificatePem: certificate.certificatePem,
        tickHz: options.tickHz,
        players: options.players,
        cluster: { keysDir: setup.keysDir, masterUrl: master.url },
      } satisfies ServerOptions);
      const { port } = z.object({ port: z.number() }).parse(started);
      await load.call("open", {
        wire: wires[contender],
        encrypted: contender !== "colyseus-ws",
        port,
        serverName: certificate.serverName,
        caPem: certificate.certificatePem,
        payloadBytes: options.payloadBytes,
        seats: options.seats ?? "pooled",
        tickets: master.tickets,
      } satisfies Endpoint);
    } catch (error) {
      await Promise.all([server.stop(), load.stop()]);
      throw error;
    }
    return new Side(options, server, load);
  }

  async close(): Promise<void> {
    await Promise.all([this.#server.stop(), this.#load.stop()]);
  }

  /** Gets tickets or seats for so many joins. */
  async prepare(count: number): Promise<void> {
    await this.#load.call("prepare", count, 120_000);
  }

  /** Lets players join; resolves when all are in, with how long they took. */
  async join(count: number, perSecond: number): Promise<z.infer<typeof timesSchema>> {
    const deadlineMs = 30_000 + (count / perSecond) * 3_000;
    return timesSchema.parse(await this.#load.call("join", { count, perSecond }, deadlineMs));
  }

  /** Lets all players leave; resolves when the server has noticed. */
  async leave(): Promise<void> {
    await this.#load.call("leave");
    const deadline = performance.now() + 30_000;
    while ((await this.players()) > 0) {
      if (performance.now() > deadline) throw new Error(`${this.options.contender} still has players who have left`);
      await pause(50);
    }
  }

  async players(): Promise<number> {
    return z.number().parse(await this.#server.call("players"));
  }

  async setWork(work: TickWork | undefined): Promise<void> {
    await this.#server.call("work", work ?? null);
  }

  /** Lets all players walk about a square, so many steps a second in all. */
  async startMoves(perSecond: number, side: number): Promise<void> {
    await this.#load.call("startMoves", { perSecond, side });
  }

  async stopMoves(): Promise<void> {
    await this.#load.call("stopMoves");
  }

  /** What the server's world has shown so far; nothing where it has none. */
  async world(): Promise<WorldCounts> {
    return worldSchema.parse((await this.#server.call("world")) ?? {});
  }

  async startEcho(perSecond: number): Promise<void> {
    await this.#load.call("startEcho", perSecond);
  }

  async stopEcho(): Promise<z.infer<typeof echoSchema>> {
    return echoSchema.parse(await this.#load.call("stopEcho"));
  }

  /** Microseconds of CPU that the server has used so far, in all its threads. */
  async serverCpuUs(): Promise<number> {
    return z.number().parse(await this.#server.call("cpu"));
  }

  /** @throws Error when a player was thrown out or got a wrong message: then nothing that is measured counts. */
  async loadCounts(): Promise<LoadCounts> {
    const counts = countsSchema.parse(await this.#load.call("counts"));
    const { contender } = this.options;
    if (counts.faults > 0) throw new Error(`${contender}: ${counts.faults} players lost, the first: ${counts.fault}`);
    if (counts.wrong > 0) throw new Error(`${contender}: ${counts.wrong} messages were not what was sent`);
    return counts;
  }

  /** Bytes of memory of the server, once it has collected its garbage. */
  async rss(): Promise<number> {
    return z.number().parse(await this.#server.call("rss"));
  }

  async startProfile(): Promise<void> {
    await this.#server.call("startProfile");
  }

  async stopProfile(file: string): Promise<void> {
    await this.#server.call("stopProfile", file);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
