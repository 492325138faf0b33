import { type LinkReport, maxReportSeats, type SeatRef } from "../../protocol/index.ts";
import { FullListing } from "./full-listing.ts";

/** Changes kept for a master that does not acknowledge. Past this the oldest departures are dropped. */
const maxChanges = 100_000;

interface Change {
  readonly seat: SeatRef;
  readonly kind: "joined" | "left" | "cancelled";
  /** The last report that carried it; 0 for none. */
  sentIn: number;
}

/**
 * What the master has to learn about seats: every join and departure, in reports, until it acknowledges them.
 * A departure says by itself that its ticket was used, so it takes the place of a join that is not acknowledged yet.
 */
export class SeatJournal {
  /** By {@link nameOf}, as the changes. */
  readonly #present = new Map<string, SeatRef>();
  readonly #changes = new Map<string, Change>();
  #sequence = 0;
  #unsent = 0;
  #listing: { readonly list: FullListing; sentIn: number } | undefined;

  /** True when there is something that no report has carried. */
  get hasNews(): boolean {
    return this.#unsent > 0;
  }

  /** True while a full report in parts is not at its end. */
  get isListing(): boolean {
    return this.#listing !== undefined;
  }

  joined(seat: SeatRef): void {
    this.#present.set(nameOf(seat), seat);
    this.#note({ seat, kind: "joined", sentIn: 0 });
  }

  left(seat: SeatRef): void {
    this.#present.delete(nameOf(seat));
    this.#note({ seat, kind: "left", sentIn: 0 });
  }

  /** The ticket of this seat joins no more. */
  cancelled(seat: SeatRef): void {
    this.#note({ seat, kind: "cancelled", sentIn: 0 });
  }

  /** Whether somebody has joined with the ticket of this reservation, as far as the master may still have to learn it. */
  knows(seat: Pick<SeatRef, "reservationId" | "playerId">): boolean {
    const name = nameOf(seat);
    const kind = this.#changes.get(name)?.kind;
    return this.#present.has(name) || kind === "joined" || kind === "left";
  }

  /** The master has forgotten this process: everyone who is in the game has to be told anew. */
  tellAll(): void {
    for (const seat of this.#present.values()) this.#note({ seat, kind: "joined", sentIn: 0 });
  }

  /**
   * The next report.
   *
   * @param complete whether it should list everyone, as the first one on a new link
   * @param inParts whether it may do so in parts, of which the reports that follow have the rest; if not, and there are more players
   *   than a report holds, it is one of changes
   */
  report(complete: boolean, inParts = false): LinkReport {
    this.#sequence += 1;
    const full = complete && this.#present.size <= maxReportSeats;
    if (complete) {
      const list = full || !inParts ? undefined : new FullListing(this.#sequence, [...this.#present.keys()]);
      this.#listing = list === undefined ? undefined : { list, sentIn: 0 };
    }
    const left = this.#take("left");
    const changed = this.#take("joined");
    const cancelled = this.#take("cancelled");
    const rest = cancelled.length === 0 ? { left } : { left, cancelled };
    if (this.#listing !== undefined) return this.#part(this.#listing, changed, rest);
    return {
      type: "report",
      sequence: this.#sequence,
      full,
      players: this.#present.size,
      joined: full ? [...this.#present.values()] : changed,
      ...rest,
    };
  }

  #part(
    listing: { readonly list: FullListing; sentIn: number },
    changed: readonly SeatRef[],
    rest: Pick<LinkReport, "left" | "cancelled">,
  ): LinkReport {
    const { seats, part } = listing.list.take(this.#present, maxReportSeats - changed.length);
    listing.sentIn = this.#sequence;
    // The same player may be named as news, too: once is enough.
    const named = new Map([...seats, ...changed].map((seat) => [nameOf(seat), seat]));
    return {
      type: "report",
      sequence: this.#sequence,
      full: true,
      part,
      players: this.#present.size,
      joined: [...named.values()],
      ...rest,
    };
  }

  /** Everything up to this report is durable at the master. */
  acknowledge(sequence: number): void {
    const listing = this.#listing;
    if (listing !== undefined && listing.sentIn > 0 && listing.sentIn <= sequence) {
      listing.sentIn = 0;
      if (listing.list.acknowledge()) this.#listing = undefined;
    }
    for (const [name, change] of this.#changes) {
      if (change.sentIn > 0 && change.sentIn <= sequence) this.#changes.delete(name);
    }
  }

  #take(kind: Change["kind"]): SeatRef[] {
    const seats: SeatRef[] = [];
    for (const change of this.#changes.values()) {
      if (change.kind !== kind) continue;
      if (seats.length >= maxReportSeats) break;
      if (change.sentIn === 0) this.#unsent -= 1;
      change.sentIn = this.#sequence;
      seats.push(change.seat);
    }
    return seats;
  }

  #note(change: Change): void {
    const name = nameOf(change.seat);
    this.#drop(name);
    this.#changes.set(name, change);
    this.#unsent += 1;
    if (this.#changes.size <= maxChanges) return;
    for (const [oldest, { kind }] of this.#changes) {
      if (kind === "joined") continue;
      this.#drop(oldest);
      return;
    }
  }

  #drop(name: string): void {
    if (this.#changes.get(name)?.sentIn === 0) this.#unsent -= 1;
    this.#changes.delete(name);
  }
}

/** One player's use of a reservation: a neighbour that hands players over may say of two that they have the same one. */
function nameOf({ playerId, reservationId }: Pick<SeatRef, "reservationId" | "playerId">): string {
  return `${playerId} ${reservationId}`;
}
