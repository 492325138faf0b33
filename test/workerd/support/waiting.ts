import { expect } from "vitest";
import type { AllocateRequest, Allocation, PlayerSessionTokens, SeatRef, Waiting } from "../../../protocol/index.ts";
import { seatOf, type TestCluster } from "./clusters.ts";
import { expectJson } from "./master.ts";
import { allocate, logIn, requestAllocation } from "./players.ts";
import { eventually, eventuallySome } from "../../support/eventually.ts";

/** A player who waits: the same request under the same key, again and again. */
export class Waiter {
  readonly player: PlayerSessionTokens;
  readonly request: AllocateRequest;
  readonly key = crypto.randomUUID();
  waiting: Waiting | undefined;

  constructor(player: PlayerSessionTokens, request: AllocateRequest) {
    this.player = player;
    this.request = { wait: true, ...request };
  }

  /** Asks once: the ticket, or `undefined` for a place. */
  async ask(): Promise<Allocation | undefined> {
    const place = this.waiting === undefined ? {} : { place: this.waiting.place };
    const response = await requestAllocation(this.player, { ...this.request, ...place }, this.key);
    if (response.status === 200) return response.json<Allocation>();
    this.waiting = await expectJson<Waiting>(response, 202);
    return undefined;
  }

  /** Asks until it has a ticket. */
  async served(): Promise<Allocation> {
    return eventuallySome(() => this.ask());
  }
}

export async function newWaiter(request: AllocateRequest): Promise<Waiter> {
  const waiter = new Waiter(await logIn(), request);
  if ((await waiter.ask()) !== undefined) throw new Error("there was a seat for who was to wait");
  return waiter;
}

/** Whoever was before this one leaves, long before the place would end by itself. */
export async function expectFirst(waiter: Waiter): Promise<void> {
  const startedAtMs = Date.now();
  await eventually(async () => {
    await waiter.ask();
    expect(waiter.waiting?.position).toBe(1);
  });
  expect(Date.now() - startedAtMs).toBeLessThan(5_000);
}

export interface Guest {
  readonly player: PlayerSessionTokens;
  readonly allocation: Allocation;
}

/** Fills the cluster; who is in. */
export async function fill(cluster: TestCluster, count = cluster.details.capacity): Promise<Guest[]> {
  const guests: Guest[] = [];
  for (let index = 0; index < count; index += 1) {
    const player = await logIn();
    guests.push({ player, allocation: await allocate(player, { clusterId: cluster.id }) });
  }
  return guests;
}

function seatsOf(guests: readonly Guest[]): SeatRef[] {
  return guests.map(({ player, allocation }) => seatOf(player.player, allocation.ticket));
}

/** The guests are in the game. */
export async function join(cluster: TestCluster, guests: readonly Guest[]): Promise<void> {
  await cluster.report({ players: guests.length, joined: seatsOf(guests) });
}

/** The guests join and leave: their seats are free. */
export async function leave(cluster: TestCluster, guests: readonly Guest[]): Promise<void> {
  await join(cluster, guests);
  await cluster.report({ players: 0, left: seatsOf(guests) });
}
