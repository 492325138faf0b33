import { describe, expect, it } from "vitest";
import { type KnownOrder, maxKnownOrders, stepOfOrder, withOrder } from "./known-orders.ts";

const order = (key: string, content = "kick") => ({ key, content, answer: `done ${key}` });

describe("[SEC-98] an order that is given under a key", () => {
  const known = [order("a"), order("b", "sign-out")];

  it("is carried out once: repeated, it is answered as before", () => {
    expect(stepOfOrder(known, { key: "c", content: "kick" })).toEqual({ kind: "new" });
    expect(stepOfOrder(known, { key: "a", content: "kick" })).toEqual({ kind: "repeat", answer: "done a" });
  });

  it("is no other one under the same key", () => {
    expect(stepOfOrder(known, { key: "a", content: "sign-out" })).toEqual({ kind: "clash" });
  });

  it("is remembered among the newest, in bounded space", () => {
    let orders: readonly KnownOrder<string>[] = [];
    for (let index = 0; index < 3 * maxKnownOrders; index += 1) orders = withOrder(orders, order(`k${index}`));
    expect(orders.map(({ key }) => key)).toEqual(
      Array.from({ length: maxKnownOrders }, (_, index) => `k${2 * maxKnownOrders + index}`),
    );
  });
});
