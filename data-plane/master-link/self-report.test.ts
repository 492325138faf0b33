import { describe, expect, it } from "vitest";
import { isSelfNews } from "./self-report.ts";

describe("what a cluster says of itself", () => {
  it.each([
    [{}, {}, false],
    [{ tickMs: 0.9 }, {}, false],
    [{ tickMs: 1.1 }, {}, true],
    [{ tickMs: 11.9 }, { tickMs: 10 }, false],
    [{ tickMs: 12.1 }, { tickMs: 10 }, true],
    [{ tickMs: 7.9 }, { tickMs: 10 }, true],
    [{ counters: { rooms: 1 } }, { counters: { rooms: 1 } }, false],
    [{ counters: { rooms: 2 } }, { counters: { rooms: 1 } }, true],
    [{ counters: {} }, { counters: { rooms: 1 } }, true],
    [{ counters: { rooms: 1, bots: 0 } }, { counters: { rooms: 1 } }, true],
    [{ counters: { bots: 1 } }, { counters: { rooms: 1 } }, true],
  ])("%o after %o is news: %s", (now, last, expected) => {
    expect(isSelfNews(now, last)).toBe(expected);
  });
});
