import { describe, expect, it } from "vitest";
import type { LinkOrders } from "../../protocol/index.ts";
import { StandingOrders } from "./standing-orders.ts";

const beatMs = 100;

function cluster(count: number, leadMs = 0, settleMs = 0) {
  const players = new Set(Array.from({ length: count }, (_, index) => `player-${index}`));
  const moved: string[] = [];
  let now = 0;
  let drained = 0;
  const orders = new StandingOrders({
    players,
    nowMs: () => now,
    beatMs,
    leadMs,
    settleMs: () => settleMs,
    moveOn: (player) => {
      players.delete(player);
      moved.push(player);
    },
    onDrained: () => (drained += 1),
  });
  const run = (ms: number): void => {
    for (const end = now + ms; now < end;) {
      now += beatMs;
      orders.beat();
    }
  };
  return { orders, players, moved, run, drained: () => drained };
}

function drain(version: number, deadlineMs: number, movePlayers: boolean): LinkOrders {
  return { type: "orders", version, drain: { deadlineMs, movePlayers }, settings: {} };
}

describe("orders", () => {
  it("are taken if they are newer, whatever comes in between", () => {
    const { orders } = cluster(0);
    expect(orders.take({ type: "orders", version: 2, drain: null, settings: { capacity: 5 } })).toBe(true);
    expect(orders.take({ type: "orders", version: 1, drain: null, settings: { capacity: 9 } })).toBe(false);
    expect(orders.take({ type: "orders", version: 2, drain: null, settings: {} })).toBe(false);
    expect(orders.capacity).toBe(5);
    expect(orders.take({ type: "orders", version: 3, drain: null, settings: {} })).toBe(true);
    expect(orders.capacity).toBeUndefined();
  });
});

describe("a drain", () => {
  it("ends when the last player has left by itself, and not before", () => {
    const { orders, players, moved, run, drained } = cluster(2);
    orders.take(drain(1, 60_000, false));
    expect(orders.draining).toBe(true);
    expect(orders.moving).toBe(false);
    run(30_000);
    expect(drained()).toBe(0);
    players.clear();
    run(800);
    expect(drained()).toBe(0);
    run(5_000);
    expect(drained()).toBe(1);
    expect(moved).toEqual([]);
  });

  it("ends at its deadline, with time left to stop", () => {
    const { orders, run, drained } = cluster(1, 4_000);
    orders.take(drain(1, 10_000, false));
    run(5_900);
    expect(drained()).toBe(0);
    run(200);
    expect(drained()).toBe(1);
  });

  it("moves players a few at a time, then ends", () => {
    const { orders, moved, run, drained } = cluster(100);
    orders.take(drain(1, 60_000, true));
    expect(orders.moving).toBe(true);
    run(1_000);
    expect(moved.length).toBeGreaterThan(0);
    expect(moved.length).toBeLessThan(20);
    run(10_000);
    expect(moved).toHaveLength(100);
    run(1_500);
    expect(drained()).toBe(1);
  });

  it("gives others time to take over what it carries, before it tells anybody to go", () => {
    const { orders, moved, run } = cluster(100, 0, 3_000);
    orders.take(drain(1, 60_000, true));
    run(2_900);
    expect(moved).toEqual([]);
    run(10_200);
    expect(moved).toHaveLength(100);
    const short = cluster(100, 0, 3_000);
    short.orders.take(drain(1, 2_000, true));
    short.run(1_600);
    expect(short.moved).toHaveLength(100);
  });

  it("moves all of them in the time that it has, however short", () => {
    const { orders, moved, run } = cluster(100);
    orders.take(drain(1, 2_000, true));
    run(1_100);
    expect(moved).toHaveLength(100);
  });

  it("is taken back before its end", () => {
    const { orders, run, drained } = cluster(1);
    orders.take(drain(1, 5_000, false));
    run(4_000);
    orders.take({ type: "orders", version: 2, drain: null, settings: {} });
    expect(orders.draining).toBe(false);
    run(60_000);
    expect(drained()).toBe(0);
  });

  it("that is told again goes on as it was, by the time that is left", () => {
    const { orders, run, drained } = cluster(1);
    orders.take(drain(1, 10_000, false));
    run(5_000);
    orders.take(drain(1, 10_000, false));
    run(5_100);
    expect(drained()).toBe(1);
  });
});
