import { describe, expect, it } from "vitest";
import { FadingMap } from "./fading-map.ts";

/** Of account for 100 ms after it was used last. */
const create = () =>
  new FadingMap({
    everyMs: 1_000,
    create: (usedAtMs) => ({ usedAtMs }),
    hasFaded: ({ usedAtMs }, nowMs) => nowMs - usedAtMs >= 100,
  });

describe("a map that forgets", () => {
  it("keeps an entry while it is of account", () => {
    const map = create();
    const entry = map.get("a", 0);
    for (let nowMs = 0; nowMs <= 10_000; nowMs += 50) {
      map.get("a", nowMs).usedAtMs = nowMs;
      map.get(`other${nowMs}`, nowMs);
    }
    expect(map.get("a", 10_000)).toBe(entry);
  });

  it("holds no more than came within the time between two looks, whoever comes", () => {
    const map = create();
    let most = 0;
    for (let nowMs = 0; nowMs < 100_000; nowMs += 10) {
      map.get(`n${nowMs}`, nowMs);
      most = Math.max(most, map.size);
    }
    expect(most).toBeLessThanOrEqual((1_000 + 100) / 10 + 1);
    map.get("last", 1_000_000);
    expect(map.size).toBe(1);
  });

  it("does not stop forgetting when the clock goes back", () => {
    const map = create();
    map.get("a", 1e9);
    map.get("b", 0);
    map.get("c", 1_000);
    // What is from a time to come stays until then.
    expect(map.size).toBe(2);
  });
});
