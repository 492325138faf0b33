import { type Histogram, mergeHistogram, percentile } from "./histogram.ts";

/** What a process of players has counted so far. */
export interface Tally {
  joined: number;
  /** Players who are in the game at this moment; at the end, just before they leave. */
  connected: number;
  /** Messages that ask for an answer. */
  sent: number;
  /** Answers, each counted once. */
  received: number;
  /** Answers that came more than once, or to nothing. */
  duplicated: number;
  moves: number;
  movesRefused: number;
  /** Times that a player came from one fragment into another. */
  fragmentCrossings: number;
  /** Times that a player was handed over from one cluster to another, and how long nothing of the game came to it meanwhile. */
  handovers: number;
  handoverGapMs: Histogram;
  /** Round-trip times of messages that were on their way while their player was handed over. */
  handoverRttMs: Histogram;
  /** Entities that came into a player's view, and changes of them that it was told. */
  entitiesSeen: number;
  entityUpdates: number;
  /** Times that a player came back after its connection had ended. */
  rejoined: number;
  /** Round-trip times in milliseconds. */
  rttMs: Histogram;
}

/** The last line of `npm start -- --json`. */
export interface Summary {
  readonly players: number;
  readonly joined: number;
  /** Who was still in the game at the end. */
  readonly connected: number;
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly moves: number;
  readonly movesRefused: number;
  readonly fragmentCrossings: number;
  /** Players handed over from one cluster to another, as their clients saw it. */
  readonly handovers: number;
  /** How long nothing of the game came to a player that was handed over. */
  readonly handoverGapMs: { readonly p50: number | null; readonly p99: number | null };
  /** Round-trip times of messages that were on their way meanwhile: how long the game stood still for a player. */
  readonly handoverRttMs: { readonly p50: number | null; readonly p99: number | null };
  readonly entitiesSeen: number;
  readonly entityUpdates: number;
  readonly rejoined: number;
  readonly rttMs: { readonly p50: number | null; readonly p99: number | null };
}

export function createTally(): Tally {
  return {
    joined: 0,
    connected: 0,
    sent: 0,
    received: 0,
    duplicated: 0,
    moves: 0,
    movesRefused: 0,
    fragmentCrossings: 0,
    handovers: 0,
    handoverGapMs: {},
    handoverRttMs: {},
    entitiesSeen: 0,
    entityUpdates: 0,
    rejoined: 0,
    rttMs: {},
  };
}

/** One summary of what all processes counted. */
export function summarize(players: number, tallies: Iterable<Tally>): Summary {
  const total = createTally();
  for (const tally of tallies) {
    total.joined += tally.joined;
    total.connected += tally.connected;
    total.sent += tally.sent;
    total.received += tally.received;
    total.duplicated += tally.duplicated;
    total.moves += tally.moves;
    total.movesRefused += tally.movesRefused;
    total.fragmentCrossings += tally.fragmentCrossings;
    total.handovers += tally.handovers;
    mergeHistogram(total.handoverGapMs, tally.handoverGapMs);
    mergeHistogram(total.handoverRttMs, tally.handoverRttMs);
    total.entitiesSeen += tally.entitiesSeen;
    total.entityUpdates += tally.entityUpdates;
    total.rejoined += tally.rejoined;
    mergeHistogram(total.rttMs, tally.rttMs);
  }
  const { rttMs, handoverGapMs, handoverRttMs, ...counts } = total;
  return {
    players,
    ...counts,
    lost: counts.sent - counts.received,
    handoverGapMs: middleAndTail(handoverGapMs),
    handoverRttMs: middleAndTail(handoverRttMs),
    rttMs: middleAndTail(rttMs),
  };
}

function middleAndTail(histogram: Histogram): { p50: number | null; p99: number | null } {
  return { p50: percentile(histogram, 50), p99: percentile(histogram, 99) };
}

/** Whether a bounded run kept its promises: all joined and stayed in the game, nothing lost, nothing doubled. */
export function isFlawless(summary: Summary): boolean {
  const { players, joined, connected } = summary;
  return joined === players && connected === players && summary.lost === 0 && summary.duplicated === 0;
}
