import { describe, expect, it } from "vitest";
import { limits, type SeatRef } from "../../../protocol/index.ts";
import { accountedAtMs, applyReport } from "./reports.ts";
import { isVacant, type Occupancy, reserveSeat, type Seat } from "./seats.ts";

/*
 * Rule 1: no seat is given twice, and none leaks. A shard and a cluster are played against each other with seats that are
 * reserved, tickets that join at any moment at which they may (cancelled ones too), and reports that come late.
 */

const capacity = 4;
const players = Array.from({ length: 9 }, (_, index) => `player-${index}`);
const lifetimeSeconds = 10;

interface Ticket extends SeatRef {
  readonly joinableUntilMs: number;
}

/** Mulberry32: the same numbers for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class World {
  nowMs = 1_000_000;
  readonly seats = new Map<string, Seat>();
  readonly inGame = new Map<string, SeatRef>();
  occupancy: Occupancy = { capacity, seats: 0, joined: 0, players: 0 };
  #tickets: Ticket[] = [];
  #changes: { joined: SeatRef[]; left: SeatRef[] } = { joined: [], left: [] };
  #onItsWay: { joined: SeatRef[]; left: SeatRef[]; players: number } | undefined;
  #reportedAtMs = 0;
  #generation = 0;
  refusedAtTheDoor = 0;
  granted = 0;

  reserve(playerId: string): void {
    this.#generation += 1;
    const ref = { playerId, reservationId: `r${this.#generation}`, generation: this.#generation };
    const expiresAt = Math.floor(this.nowMs / 1_000) + lifetimeSeconds;
    const before = this.seats.get(playerId);
    const outcome = reserveSeat(this.occupancy, before, { ...ref, expiresAt });
    if (!outcome.ok) return;
    this.granted += 1;
    this.seats.set(playerId, outcome.seat);
    this.#add(before === undefined ? 1 : 0, 0);
    this.#tickets.push({ ...ref, joinableUntilMs: expiresAt * 1_000 + limits.clockSkewMs });
  }

  /** The cluster takes every good ticket unless it is full; a newer session of a player replaces the older. */
  join(random: () => number): void {
    const usable = this.#tickets.filter((ticket) => this.nowMs < ticket.joinableUntilMs);
    const ticket = usable[Math.floor(random() * usable.length)];
    if (ticket === undefined) return;
    const present = this.inGame.get(ticket.playerId);
    if (present !== undefined && present.generation >= ticket.generation) return;
    if (present === undefined && this.inGame.size >= capacity) {
      this.refusedAtTheDoor += 1;
      return;
    }
    const { playerId, reservationId, generation } = ticket;
    const ref = { playerId, reservationId, generation };
    this.#tickets = this.#tickets.filter((other) => other !== ticket);
    if (present !== undefined) this.#changes.left.push(present);
    this.inGame.set(playerId, ref);
    this.#changes.joined.push(ref);
  }

  leave(playerId: string): void {
    const ref = this.inGame.get(playerId);
    if (ref === undefined) return;
    this.inGame.delete(playerId);
    this.#changes.left.push(ref);
  }

  /** A cluster makes its next report only after the one before was acknowledged. */
  sendReport(): void {
    if (this.#onItsWay !== undefined) return;
    this.#onItsWay = { ...this.#changes, players: this.inGame.size };
    this.#changes = { joined: [], left: [] };
  }

  receiveReport(): void {
    const report = this.#onItsWay;
    if (report === undefined) return;
    this.#onItsWay = undefined;
    const accounting = { previousReportAtMs: this.#reportedAtMs, pingAtMs: 0, reportIntervalMs: 1_000 };
    const effects = applyReport({ ...report, full: false }, this.seats, accountedAtMs(accounting));
    for (const seat of effects.changed) this.seats.set(seat.playerId, seat);
    for (const playerId of effects.freed) this.seats.delete(playerId);
    this.#reportedAtMs = this.nowMs;
    this.occupancy = { ...this.occupancy, players: report.players };
    this.#add(effects.seatsDelta, effects.joinedDelta);
  }

  /** Players who are in the game, or may still come into it. */
  entitled(): number {
    const may = this.#tickets.filter((ticket) => this.nowMs < ticket.joinableUntilMs).map(({ playerId }) => playerId);
    return new Set([...this.inGame.keys(), ...may]).size;
  }

  #add(seats: number, joined: number): void {
    const { occupancy } = this;
    this.occupancy = { ...occupancy, seats: occupancy.seats + seats, joined: occupancy.joined + joined };
  }
}

function step(world: World, random: () => number): void {
  const player = players[Math.floor(random() * players.length)] ?? "nobody";
  const draw = random();
  if (draw < 0.25) world.reserve(player);
  else if (draw < 0.45) world.join(random);
  else if (draw < 0.55) world.leave(player);
  else if (draw < 0.7) world.sendReport();
  else if (draw < 0.85) world.receiveReport();
  else world.nowMs += Math.floor(random() * 6_000);
}

describe("rule 1, over 200 histories of 500 steps", () => {
  it("holds: nobody with a ticket finds the cluster full, and the counts are right at every step", () => {
    let granted = 0;
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = createRandom(seed);
      const world = new World();
      for (let count = 0; count < 500; count += 1) {
        step(world, random);
        if (world.entitled() > capacity) throw new Error(`seed ${seed}, step ${count}: a seat was given twice`);
        const rows = [...world.seats.values()];
        const joined = rows.filter((seat) => seat.joined !== undefined).length;
        if (world.occupancy.seats !== rows.length || world.occupancy.joined !== joined) {
          throw new Error(`seed ${seed}, step ${count}: the counts are wrong`);
        }
      }
      expect(world.refusedAtTheDoor).toBe(0);
      granted += world.granted;
    }
    expect(granted).toBeGreaterThan(2_000);
  });

  it("holds to the end: when everyone has left and every ticket has expired, every seat is free", () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = createRandom(seed);
      const world = new World();
      for (let count = 0; count < 200; count += 1) step(world, random);
      for (const player of players) world.leave(player);
      world.nowMs += (lifetimeSeconds + 60) * 1_000;
      for (let count = 0; count < 3; count += 1) {
        world.receiveReport();
        world.sendReport();
      }
      expect([...world.seats.values()].filter((seat) => !isVacant(seat, world.nowMs))).toEqual([]);
      expect(world.occupancy).toEqual({ capacity, seats: 0, joined: 0, players: 0 });
    }
  });
});
