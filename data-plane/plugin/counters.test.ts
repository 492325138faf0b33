import { describe, expect, it } from "vitest";
import { maxCounters } from "../../protocol/index.ts";
import { Counters } from "./counters.ts";

describe("the counters of a cluster", () => {
  it("are what was set last, and what was taken back is gone", () => {
    const counters = new Counters();
    counters.set("rooms.open", 3);
    counters.set("round", 1);
    counters.set("rooms.open", 0);
    counters.set("round", undefined);
    counters.set("never", undefined);
    expect(counters.list()).toEqual({ "rooms.open": 0 });
  });

  it.each(["", "with space", 'with"quote', "a".repeat(65)])("have no name like %j", (name) => {
    expect(() => new Counters().set(name, 1)).toThrow(RangeError);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("are never %d", (value) => {
    expect(() => new Counters().set("a", value)).toThrow(RangeError);
  });

  it("are bounded; one that is there can be set", () => {
    const counters = new Counters();
    for (let index = 0; index < maxCounters; index += 1) counters.set(`c${index}`, index);
    counters.set("c0", 9);
    expect(() => counters.set("more", 1)).toThrow(RangeError);
  });
});
