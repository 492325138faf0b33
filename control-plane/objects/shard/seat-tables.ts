import { type LinkCancel, type LinkFence, maxReportSeats } from "../../../protocol/index.ts";
import { ReturnedSeats } from "./returned-seats.ts";
import { type Hold, type Seat, ticketsUntilMs } from "../../domain/clusters/seats.ts";
import type { ClusterMemory, Sql } from "./cluster-memory.ts";
import { type PlacedSeat, SeatMemory } from "./seat-memory.ts";

/**
 * Part of a shard's schema: seats in the order of their players, since an allocation takes one seat of a player and gives another one back,
 * and looks for what the player has. What changes with each ticket is in no index: `look_at` is when to look whether nobody has the
 * seat any more, at the end of its tickets or before it, and is put off by whoever looks too early. NULL while the player is in the game.
 * Of a hold that was there before it is not known whether it is of a party: it counts as one until it is written again.
 */
export const seatSchema = `
  CREATE TABLE seats_by_player (
    player_id TEXT NOT NULL,
    cluster_id TEXT NOT NULL,
    joined_reservation TEXT,
    joined_generation INTEGER,
    hold_reservation TEXT,
    hold_generation INTEGER,
    hold_until INTEGER,
    earlier_until INTEGER NOT NULL DEFAULT 0,
    fence INTEGER,
    tickets_until INTEGER NOT NULL,
    seen_in INTEGER NOT NULL DEFAULT 0,
    given_back TEXT,
    of_party INTEGER NOT NULL DEFAULT 0,
    look_at INTEGER DEFAULT 0,
    PRIMARY KEY (player_id, cluster_id)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO seats_by_player (player_id, cluster_id, joined_reservation, joined_generation, hold_reservation, hold_generation,
      hold_until, earlier_until, fence, tickets_until, seen_in, given_back, of_party, look_at)
    SELECT player_id, cluster_id, joined_reservation, joined_generation, hold_reservation, hold_generation,
      hold_until, earlier_until, fence, tickets_until, seen_in, given_back, hold_reservation IS NOT NULL,
      CASE WHEN joined_generation IS NULL THEN tickets_until END
    FROM seats ORDER BY player_id, cluster_id;
  DROP TABLE seats;
  ALTER TABLE seats_by_player RENAME TO seats;
  CREATE INDEX seats_by_cluster ON seats (cluster_id, look_at);
  CREATE INDEX seats_by_fence ON seats (cluster_id) WHERE fence IS NOT NULL;
  CREATE INDEX seats_by_party ON seats (hold_reservation) WHERE of_party = 1;
`;

/** The order in which {@link placedSeat} takes them. */
const columns = `player_id, cluster_id, joined_reservation, joined_generation, hold_reservation, hold_generation, hold_until,
  earlier_until, fence, of_party`;

const update = `UPDATE seats SET joined_reservation = ?, joined_generation = ?, hold_reservation = ?, hold_generation = ?, hold_until = ?,
  earlier_until = ?, fence = ?, tickets_until = ?, of_party = ? WHERE player_id = ? AND cluster_id = ?`;

type Values = [
  playerId: string,
  clusterId: string,
  joinedReservation: string | null,
  joinedGeneration: number | null,
  holdReservation: string | null,
  holdGeneration: number | null,
  holdUntil: number | null,
  earlierUntil: number,
  fence: number | null,
  ofParty: number,
];

/** Where a seat is. */
export interface SeatPlace {
  readonly clusterId: string;
  readonly playerId: string;
}

/** The SQL of a shard's seats: seats in, seats out, no rules. All statements that change them are here. */
export class SeatTables {
  readonly #sql: Sql;
  readonly #returned: ReturnedSeats;
  readonly #memory = new SeatMemory();

  constructor(storage: Pick<ClusterMemory, "sql" | "onUndone">) {
    this.#sql = storage.sql;
    storage.onUndone(() => this.#memory.forget());
    this.#returned = new ReturnedSeats((clusterId) => this.#playersWithReturns(clusterId));
  }

  at(clusterId: string, playerId: string): Seat | undefined {
    return this.#of(playerId).find((placed) => placed.clusterId === clusterId)?.seat;
  }

  /**
   * Where the seat of a reservation is: at one cluster, and at more where those before went while it was asked for. Without the player, whom a
   * release before this one does not name, all seats are looked through.
   */
  placesOf(reservationId: string, playerId?: string): SeatPlace[] {
    const found = playerId === undefined ? this.#select("hold_reservation = ?", reservationId) : this.#of(playerId);
    return found.flatMap(({ clusterId, seat }) =>
      seat.hold?.reservationId === reservationId ? [{ clusterId, playerId: seat.playerId }] : [],
    );
  }

  /** Who has a seat under the hold of a party. */
  holdersOf(holdId: string): SeatPlace[] {
    return this.#select("of_party = 1 AND hold_reservation = ? ORDER BY player_id", holdId).map(
      ({ clusterId, seat }) => ({
        clusterId,
        playerId: seat.playerId,
      }),
    );
  }

  /** Who is in the game at a cluster, by the reservations that they joined with. */
  joinedAt(clusterId: string): { playerId: string; reservationId: string }[] {
    return this.#seats("cluster_id = ? AND joined_reservation IS NOT NULL", clusterId).flatMap(({ playerId, joined }) =>
      joined === undefined ? [] : [{ playerId, reservationId: joined.reservationId }],
    );
  }

  all(clusterId: string): Seat[] {
    return this.#seats("cluster_id = ?", clusterId);
  }

  /** Seats of nobody in the game, whose tickets had ceased to work by `untilMs`. */
  ended(clusterId: string, untilMs: number): Seat[] {
    const due = this.#seats("cluster_id = ? AND look_at <= ?", clusterId, untilMs);
    const ended = due.filter((seat) => seat.joined === undefined && ticketsUntilMs(seat) <= untilMs);
    // They have had tickets since.
    if (ended.length < due.length) {
      this.#sql.exec(
        `UPDATE seats SET look_at = CASE WHEN joined_generation IS NULL THEN tickets_until END
         WHERE cluster_id = ?1 AND look_at <= ?2 AND (joined_generation IS NOT NULL OR tickets_until > ?2)`,
        clusterId,
        untilMs,
      );
    }
    return ended;
  }

  fencesOf(clusterId: string): LinkFence[] {
    return this.#sql
      .exec<{ player_id: string; fence: number }>(
        "SELECT player_id, fence FROM seats WHERE cluster_id = ? AND fence IS NOT NULL",
        clusterId,
      )
      .toArray()
      .map((row) => ({ type: "fence", playerId: row.player_id, generation: row.fence }));
  }

  /** A seat that the player does not have yet. */
  add(clusterId: string, seat: Seat): void {
    this.#sql.exec(
      `INSERT INTO seats (joined_reservation, joined_generation, hold_reservation, hold_generation, hold_until, earlier_until, fence,
         tickets_until, of_party, player_id, cluster_id, look_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...valuesOf(seat),
      seat.playerId,
      clusterId,
      lookAtMs(seat),
    );
    this.#memory.change(clusterId, seat.playerId, seat);
  }

  /** @param before the seat as it is stored: known to whoever has just read it, it spares a look at what was there */
  put(clusterId: string, seat: Seat, before?: Seat): void {
    const bindings = [...valuesOf(seat), seat.playerId, clusterId];
    if (before !== undefined && isInTime(lookAtMs(before), lookAtMs(seat))) {
      this.#sql.exec(update, ...bindings);
      this.#memory.change(clusterId, seat.playerId, seat);
      return;
    }
    const [stored] = this.#sql.exec<{ at: number | null }>(`${update} RETURNING look_at AS at`, ...bindings).toArray();
    if (stored === undefined) return this.add(clusterId, seat);
    this.#memory.change(clusterId, seat.playerId, seat);
    const at = lookAtMs(seat);
    if (isInTime(stored.at, at)) return;
    this.#sql.exec("UPDATE seats SET look_at = ? WHERE player_id = ? AND cluster_id = ?", at, seat.playerId, clusterId);
  }

  delete(clusterId: string, playerId: string): void {
    this.#sql.exec("DELETE FROM seats WHERE player_id = ? AND cluster_id = ?", playerId, clusterId);
    this.#memory.change(clusterId, playerId, undefined);
  }

  /** Nobody has a seat any more. */
  clear(clusterId: string): void {
    this.#sql.exec("DELETE FROM seats WHERE cluster_id = ?", clusterId);
    this.#memory.forget();
  }

  /** Forgets those of clusters that are forgotten themselves. */
  forgetOrphans(): void {
    const { rowsWritten } = this.#sql.exec(
      "DELETE FROM seats WHERE cluster_id NOT IN (SELECT cluster_id FROM clusters)",
    );
    if (rowsWritten > 0) this.#memory.forget();
  }

  /** These players' seats were named under `mark`. */
  mark(clusterId: string, playerIds: readonly string[], mark: number): void {
    this.#sql.exec(
      "UPDATE seats SET seen_in = ? WHERE cluster_id = ? AND player_id IN (SELECT value FROM json_each(?))",
      mark,
      clusterId,
      JSON.stringify(playerIds),
    );
  }

  /** Seats of those in the game that were not named under `mark`. */
  unnamed(clusterId: string, mark: number): Seat[] {
    return this.#seats("cluster_id = ? AND joined_generation IS NOT NULL AND seen_in <> ?", clusterId, mark);
  }

  /** Its player has given a reservation back while its ticket could still join. */
  setGivenBack({ clusterId, playerId }: SeatPlace, reservationId: string): void {
    this.#sql.exec(
      "UPDATE seats SET given_back = ? WHERE player_id = ? AND cluster_id = ?",
      reservationId,
      playerId,
      clusterId,
    );
    this.#returned.note(clusterId, playerId);
  }

  /** The reservations that were given back, and that the cluster has not answered for. */
  cancelsOf(clusterId: string): LinkCancel[] {
    return this.#returned.collect(clusterId, maxReportSeats, (playerIds) =>
      this.#seats(
        "cluster_id = ? AND player_id IN (SELECT value FROM json_each(?)) AND given_back = hold_reservation",
        clusterId,
        JSON.stringify(playerIds),
      ).flatMap(({ playerId, hold }) => (hold === undefined ? [] : [cancelOf(playerId, hold)])),
    );
  }

  #playersWithReturns(clusterId: string): string[] {
    return this.#sql
      .exec<{ id: string }>(
        "SELECT player_id AS id FROM seats WHERE cluster_id = ? AND given_back = hold_reservation",
        clusterId,
      )
      .toArray()
      .map(({ id }) => id);
  }

  /** All that a player has in this shard. */
  #of(playerId: string): readonly PlacedSeat[] {
    return this.#memory.of(playerId, () => this.#select("player_id = ?", playerId));
  }

  #seats(where: string, ...bindings: readonly (string | number)[]): Seat[] {
    return this.#select(where, ...bindings).map(({ seat }) => seat);
  }

  #select(where: string, ...bindings: readonly (string | number)[]): PlacedSeat[] {
    // Bare values: an object that the runtime makes of each row takes twice as long as all the rest.
    return [...this.#sql.exec(`SELECT ${columns} FROM seats WHERE ${where}`, ...bindings).raw<Values>()].map(
      placedSeat,
    );
  }
}

/** What a cluster is told of a reservation that was given back. */
export function cancelOf(playerId: string, { reservationId, generation, untilMs }: Hold): LinkCancel {
  return { type: "cancel", reservationId, playerId, generation, expiresAt: Math.ceil(untilMs / 1_000) };
}

function lookAtMs(seat: Seat): number | null {
  return seat.joined === undefined ? ticketsUntilMs(seat) : null;
}

/** Whether a look that is planned for a seat comes soon enough. */
function isInTime(plannedMs: number | null, neededMs: number | null): boolean {
  return plannedMs === neededMs || (plannedMs !== null && neededMs !== null && plannedMs < neededMs);
}

function valuesOf(seat: Seat): (string | number | null)[] {
  const { joined, hold, earlierUntilMs, fence } = seat;
  return [
    joined?.reservationId ?? null,
    joined?.generation ?? null,
    hold?.reservationId ?? null,
    hold?.generation ?? null,
    hold?.untilMs ?? null,
    earlierUntilMs,
    fence ?? null,
    ticketsUntilMs(seat),
    hold?.ofParty === true ? 1 : 0,
  ];
}

function placedSeat(values: Values): PlacedSeat {
  const [playerId, clusterId, joinedReservation, joinedGeneration, reservationId, generation, untilMs, ...more] =
    values;
  const [earlierUntilMs, fence, ofParty] = more;
  const seat = {
    playerId,
    joined:
      joinedReservation === null || joinedGeneration === null
        ? undefined
        : { reservationId: joinedReservation, generation: joinedGeneration },
    hold:
      reservationId === null || generation === null || untilMs === null
        ? undefined
        : { reservationId, generation, untilMs, ...(ofParty === 1 ? { ofParty: true } : {}) },
    earlierUntilMs,
    fence: fence ?? undefined,
  };
  return { clusterId, seat };
}
