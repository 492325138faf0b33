import { mailsPerSecond, maxMailBurst, Rate } from "../../protocol/index.ts";

/** Most messages of one cluster in a second before its link is closed. One that keeps to its rate comes nowhere near. */
export const floodedMails = 500;
/** What a shard passes on for all its clusters together, and what it hands to one of them. */
export const shardMailsPerSecond = 200;
export const shardMailBurst = 400;
/** What one player is passed, from all clusters together. */
export const playerMailsPerSecond = 10;
export const playerMailBurst = 40;
/** Most messages of a shard's clusters that are on their way at once. */
export const maxMailsOnTheWay = 256;

interface Sender {
  readonly rate: Rate;
  startMs: number;
  count: number;
}

/** Counts messages to players elsewhere, by the clusters that send and that get them. Kept in memory: an object that forgets it has been idle. */
export class MailBudget {
  readonly #senders = new Map<string, Sender>();
  readonly #receivers = new Map<string, Rate>();
  readonly #all = new Rate(shardMailsPerSecond, shardMailBurst);
  #onTheWay = 0;

  /** Whether a cluster may send one now; if so, {@link arrived} has to follow. */
  send(clusterId: string, nowMs: number): "allowed" | "refused" | "flooded" {
    const sender = entry(this.#senders, clusterId, () => ({
      rate: new Rate(mailsPerSecond, maxMailBurst),
      startMs: nowMs,
      count: 0,
    }));
    if (nowMs - sender.startMs >= 1_000 || nowMs < sender.startMs) {
      sender.startMs = nowMs;
      sender.count = 0;
    }
    sender.count += 1;
    if (sender.count > floodedMails) return "flooded";
    if (this.#onTheWay >= maxMailsOnTheWay || !sender.rate.take(nowMs) || !this.#all.take(nowMs)) return "refused";
    this.#onTheWay += 1;
    return "allowed";
  }

  /** One has come to its end, whichever. */
  arrived(): void {
    this.#onTheWay -= 1;
  }

  /** Whether a cluster may be handed one now. */
  receive(clusterId: string, nowMs: number): boolean {
    return entry(this.#receivers, clusterId, () => new Rate(shardMailsPerSecond, shardMailBurst)).take(nowMs);
  }
}

function entry<T>(map: Map<string, T>, key: string, create: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const created = create();
  map.set(key, created);
  return created;
}
