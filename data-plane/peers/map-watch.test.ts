import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { WorldMapView } from "../../protocol/index.ts";
import { createLogger } from "../log.ts";
import { MapWatch } from "./map-watch.ts";

let version = 0;
let fetches = 0;
let isAway = false;
let seen: number[] = [];
let watch: MapWatch;

beforeEach(() => {
  vi.useFakeTimers();
  [version, fetches, isAway, seen] = [0, 0, false, []];
  watch = new MapWatch({
    fetch: async (): Promise<WorldMapView> => {
      fetches += 1;
      const now = version;
      await Promise.resolve();
      if (isAway) throw new Error("away");
      return { world: "main", version: now, fragments: [], clusters: [] };
    },
    onMap: (map) => seen.push(map.version),
    log: createLogger("silent"),
    random: () => 1,
    retryMs: [100, 1_000],
  });
});

afterEach(() => {
  watch.stop();
  vi.useRealTimers();
});

const settle = async (ms = 0): Promise<void> => void (await vi.advanceTimersByTimeAsync(ms));

describe("the watch over the map of the world", () => {
  it("[WORLD-4] fetches it once a registration and once a version", async () => {
    watch.note(5);
    await settle(10_000);
    expect(fetches).toBe(0);
    watch.restart();
    await settle();
    expect([fetches, seen]).toEqual([1, [0]]);
    version = 3;
    for (const told of [3, 3, 2]) watch.note(told);
    await settle(10_000);
    expect([fetches, seen]).toEqual([2, [0, 3]]);
  });

  it("fetches again what was told while a fetch was under way", async () => {
    watch.restart();
    version = 1;
    watch.note(1);
    await settle(1_000);
    expect([fetches, seen]).toEqual([2, [0, 1]]);
  });

  it("goes on trying with longer and longer waits until what was told has come", async () => {
    isAway = true;
    watch.restart();
    await settle(650);
    expect(fetches).toBe(3);
    isAway = false;
    watch.note(4);
    await settle(10_000);
    expect(seen).toEqual([0]);
    version = 4;
    await settle(10_000);
    expect(seen).toEqual([0, 4]);
    const soFar = fetches;
    await settle(100_000);
    expect(fetches).toBe(soFar);
  });

  it("takes an older version only after another registration: the master may have begun anew", async () => {
    version = 9;
    watch.restart();
    await settle();
    version = 1;
    watch.note(10);
    await settle(5_000);
    expect(seen).toEqual([9]);
    watch.restart();
    await settle();
    expect(seen).toEqual([9, 1]);
  });

  it("asks nothing once it is stopped", async () => {
    isAway = true;
    watch.restart();
    await settle();
    watch.stop();
    watch.note(7);
    await settle(100_000);
    expect([fetches, seen]).toEqual([1, []]);
  });
});
