/** What operators can watch happen. */
export const masterEventTypes = [
  "cluster.registered",
  "cluster.state",
  "cluster.deregistered",
  "cluster.orders",
  "key.enrolled",
  "key.rotated",
  "key.revoked",
  "player.banned",
  "player.unbanned",
  "player.kicked",
  "player.signed-out",
  "signing-key.rotated",
] as const;

export type MasterEventType = (typeof masterEventTypes)[number];

/** Something that has happened. */
export interface MasterEvent {
  readonly type: MasterEventType;
  /** What it happened to, as `cluster:…`, `key:…`, `player:…`. */
  readonly subject: string;
  /** No secret in it. */
  readonly data: Readonly<Record<string, string | number | boolean | null>>;
}

/** The same, numbered by the hub that passes it on. */
export interface NumberedEvent extends MasterEvent {
  readonly id: string;
  readonly atMs: number;
}

/** Where a reader left off. */
export type ResumePoint =
  | { readonly kind: "start" }
  /** What came after it follows. */
  | { readonly kind: "after"; readonly events: readonly NumberedEvent[] }
  /** What came after it is not known any more, in part or at all. */
  | { readonly kind: "gap"; readonly events: readonly NumberedEvent[] };

/** The newest events, by number. A hub that starts again begins another epoch: numbers of an earlier one mean nothing to it. */
export class EventRing {
  readonly #epoch: string;
  readonly #size: number;
  #events: NumberedEvent[] = [];
  #last = 0;

  constructor(epoch: string, size: number) {
    this.#epoch = epoch;
    this.#size = size;
  }

  add(event: MasterEvent, atMs: number): NumberedEvent {
    this.#last += 1;
    const numbered = { ...event, id: `${this.#epoch}-${this.#last}`, atMs };
    this.#events.push(numbered);
    // Not at every event: moving them all costs as much as adding so many.
    if (this.#events.length >= 2 * this.#size) this.#events = this.#events.slice(-this.#size);
    return numbered;
  }

  resume(lastId: string | undefined): ResumePoint {
    if (lastId === undefined) return { kind: "start" };
    const kept = this.#events.slice(-this.#size);
    const [, epoch, number = ""] = /^([a-z0-9]{1,16})-(\d{1,15})$/.exec(lastId) ?? [];
    if (epoch !== this.#epoch) return { kind: "gap", events: kept };
    const first = this.#last - kept.length + 1;
    const wanted = Number(number) + 1;
    if (wanted < first || wanted > this.#last + 1) return { kind: "gap", events: kept };
    return { kind: "after", events: kept.slice(wanted - first) };
  }
}
