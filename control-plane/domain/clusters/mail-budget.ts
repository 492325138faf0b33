import { mailsPerSecond, maxMailBurst, Rate } from "../../../protocol/index.ts";
import { FadingMap } from "../fading-map.ts";

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

/** After so long whatever was sent or got is not of account any more. */
const refillMs = 1_000 * Math.max(maxMailBurst / mailsPerSecond, shardMailBurst / shardMailsPerSecond);

/** Counts messages to players elsewhere, by the clusters that send and that get them. Kept in memory: an object that forgets it has been idle. */
export class MailBudget {
  readonly #senders = new FadingMap({
    everyMs: refillMs,
    create: (startMs) => ({ rate: new Rate(mailsPerSecond, maxMailBurst), startMs, count: 0 }),
    hasFaded: ({ rate, startMs }, nowMs) => rate.isFull(nowMs) && isOver(startMs, nowMs),
  });
  readonly #receivers = new FadingMap({
    everyMs: refillMs,
    create: () => new Rate(shardMailsPerSecond, shardMailBurst),
    hasFaded: (rate, nowMs) => rate.isFull(nowMs),
  });
  readonly #all = new Rate(shardMailsPerSecond, shardMailBurst);
  #onTheWay = 0;

  /** Whether a cluster may send one now; if so, {@link arrived} has to follow. */
  send(clusterId: string, nowMs: number): "allowed" | "refused" | "flooded" {
    const sender = this.#senders.get(clusterId, nowMs);
    if (isOver(sender.startMs, nowMs)) Object.assign(sender, { startMs: nowMs, count: 0 });
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
    return this.#receivers.get(clusterId, nowMs).take(nowMs);
  }
}

/** Whether the second has passed in which a cluster's messages are counted for being too many by far. */
function isOver(startMs: number, nowMs: number): boolean {
  return nowMs - startMs >= 1_000 || nowMs < startMs;
}
