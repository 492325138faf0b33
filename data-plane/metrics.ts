import type { MailOutcome } from "../protocol/index.ts";
import { HandoverCounts, type HandoverReading } from "./handover/handover-counts.ts";
import type { SaveOutcome } from "./authority/save-line.ts";
import { Histogram, tickBounds } from "./ops/histogram.ts";

/** Where a connection stands. */
export type ConnectionState = "handshake" | "hello" | "join" | "verifying" | "joined" | "closing";

/** A reading of all counters. Counts only grow; `connections`, `players` and `queuedBytes` are of this moment. */
export interface MetricsSnapshot {
  readonly connections: Readonly<Record<ConnectionState, number>>;
  /** Connections that were refused before they joined, by reason. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Players that left, by reason. */
  readonly departures: Readonly<Record<string, number>>;
  /** What plugin hooks threw, by hook. */
  readonly pluginErrors: Readonly<Record<string, number>>;
  /** Messages that plugins sent to players anywhere, by what became of them. */
  readonly mailSent: Readonly<Record<string, number>>;
  /** Saves of players, by outcome. */
  readonly saves: Readonly<Record<string, number>>;
  /** Such messages for players here: passed on to them, kept back by a plugin, or stray: without a session to go to. */
  readonly mailReceived: Readonly<Record<string, number>>;
  readonly joins: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly framesIn: number;
  readonly framesOut: number;
  readonly writes: number;
  readonly movesRefused: number;
  /** Players who were put back again and again. */
  readonly moveOffenders: number;
  /** Connections of players that ended without a word, and those that were taken up again. */
  readonly drops: number;
  readonly resumes: number;
  /** Players that were warned about their budget. */
  readonly budgetWarnings: number;
  /** Players that joined before the master had said what was saved of them. */
  readonly lateLoads: number;
  /** Players in the game whose authority was found to be elsewhere. */
  readonly overlaps: number;
  /** Links that ended over what another cluster told of its entities. */
  readonly ghostsRefused: number;
  /** Times that the link to another cluster was not read for a moment, as too much had come of handovers. */
  readonly peerRests: number;
  /** Ticks that were left out because the process was too late for them. */
  readonly ticksSkipped: number;
  readonly ticks: number;
  /** Ticks that took longer than a tick's length. */
  readonly ticksOverrun: number;
  /** Of players to and from other clusters. */
  readonly handovers: HandoverReading;
  /**
   * Bounds, in seconds, that half and 99 of 100 ticks stayed within. `within`: for each of the histogram's bounds, how many ticks did, so that
   * two readings give the same of the time between them.
   */
  readonly tickSeconds: { readonly p50: number; readonly p99: number; readonly within: readonly number[] };
}

/** The cluster's counters. Plain numbers: reading and counting cost nothing. */
export class Metrics {
  readonly connections: Record<ConnectionState, number> = {
    handshake: 0,
    hello: 0,
    join: 0,
    verifying: 0,
    joined: 0,
    closing: 0,
  };
  readonly #refusals = new Map<string, number>();
  readonly #departures = new Map<string, number>();
  readonly #pluginErrors = new Map<string, number>();
  readonly #mailSent = new Map<string, number>();
  readonly #mailReceived = new Map<string, number>();
  readonly #saves = new Map<string, number>();
  joins = 0;
  bytesIn = 0;
  bytesOut = 0;
  framesIn = 0;
  framesOut = 0;
  writes = 0;
  movesRefused = 0;
  moveOffenders = 0;
  drops = 0;
  resumes = 0;
  budgetWarnings = 0;
  lateLoads = 0;
  overlaps = 0;
  ghostsRefused = 0;
  peerRests = 0;
  ticksSkipped = 0;
  ticksOverrun = 0;
  readonly handovers = new HandoverCounts();
  /** How long ticks took, in seconds. */
  readonly tickTime = new Histogram(tickBounds);

  countRefusal(reason: string): void {
    increment(this.#refusals, reason);
  }

  countDeparture(reason: string): void {
    increment(this.#departures, reason);
  }

  countPluginError(hook: string): void {
    increment(this.#pluginErrors, hook);
  }

  countMailSent(outcome: MailOutcome): void {
    increment(this.#mailSent, outcome);
  }

  countMailReceived(outcome: "passed" | "kept" | "stray"): void {
    increment(this.#mailReceived, outcome);
  }

  countSave(outcome: SaveOutcome): void {
    increment(this.#saves, outcome);
  }

  /** Moves a connection from one state to the next; `undefined` is before the first and after the last. */
  moveConnection(from: ConnectionState | undefined, to: ConnectionState | undefined): void {
    if (from !== undefined) this.connections[from] -= 1;
    if (to !== undefined) this.connections[to] += 1;
  }

  snapshot(): MetricsSnapshot {
    return {
      connections: { ...this.connections },
      refusals: Object.fromEntries(this.#refusals),
      departures: Object.fromEntries(this.#departures),
      pluginErrors: Object.fromEntries(this.#pluginErrors),
      mailSent: Object.fromEntries(this.#mailSent),
      mailReceived: Object.fromEntries(this.#mailReceived),
      saves: Object.fromEntries(this.#saves),
      joins: this.joins,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      framesIn: this.framesIn,
      framesOut: this.framesOut,
      writes: this.writes,
      movesRefused: this.movesRefused,
      moveOffenders: this.moveOffenders,
      drops: this.drops,
      resumes: this.resumes,
      budgetWarnings: this.budgetWarnings,
      lateLoads: this.lateLoads,
      overlaps: this.overlaps,
      ghostsRefused: this.ghostsRefused,
      peerRests: this.peerRests,
      ticksSkipped: this.ticksSkipped,
      ticks: this.tickTime.count,
      ticksOverrun: this.ticksOverrun,
      handovers: this.handovers.read(),
      tickSeconds: {
        p50: this.tickTime.quantile(0.5),
        p99: this.tickTime.quantile(0.99),
        within: this.tickTime.cumulative().map(({ count }) => count),
      },
    };
  }
}

function increment(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
