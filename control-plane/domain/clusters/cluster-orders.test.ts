import { describe, expect, it } from "vitest";
import { noOrders, ordersAtRegistration, ordersCommand, settingsInForce } from "./cluster-orders.ts";

const declared = {
  capacity: 100,
  tags: ["pve"],
  labels: { map: "isle" },
  ticketLifetimeSeconds: 30,
  joinRatePerSecond: 4,
};
const drain = { deadlineAtMs: 5_000, movePlayers: true, orderedAtMs: 1_000 };

describe("settings", () => {
  it("are the cluster's own without orders", () => {
    expect(settingsInForce(declared, noOrders)).toEqual(declared);
    expect(settingsInForce({ capacity: 1, tags: [] }, noOrders)).toEqual({
      capacity: 1,
      tags: [],
      labels: {},
      ticketLifetimeSeconds: undefined,
      joinRatePerSecond: undefined,
    });
  });

  it("are the operators' where they have set some, zero and nothing included", () => {
    const orders = { ...noOrders, version: 1, settings: { capacity: 0, tags: [], ticketLifetimeSeconds: 10 } };
    expect(settingsInForce(declared, orders)).toEqual({
      capacity: 0,
      tags: [],
      labels: { map: "isle" },
      ticketLifetimeSeconds: 10,
      joinRatePerSecond: 4,
    });
  });
});

describe("a drain", () => {
  const orders = { ...noOrders, version: 3, drain };

  it("holds for whoever registers before its deadline, and for nobody after it", () => {
    expect(ordersAtRegistration(orders, 4_999)).toBe(orders);
    expect(ordersAtRegistration(orders, 5_000)).toEqual({ ...orders, drain: null });
    expect(ordersAtRegistration(noOrders, 0)).toBe(noOrders);
  });

  it("is told with the time that is left", () => {
    expect(ordersCommand(orders, 3_000)).toEqual({
      type: "orders",
      version: 3,
      drain: { deadlineMs: 2_000, movePlayers: true },
      settings: {},
    });
    expect(ordersCommand(orders, 9_000).drain).toEqual({ deadlineMs: 0, movePlayers: true });
    expect(ordersCommand({ ...noOrders, version: 4, settings: { capacity: 5 } }, 0)).toEqual({
      type: "orders",
      version: 4,
      drain: null,
      settings: { capacity: 5 },
    });
  });
});
