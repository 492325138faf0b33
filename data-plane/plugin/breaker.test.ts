import { beforeEach, describe, expect, it } from "vitest";
import { Breaker, defaultBreakerRules } from "./breaker.ts";

let now: number;
let breaker: Breaker;
beforeEach(() => {
  now = 0;
  breaker = new Breaker(defaultBreakerRules, () => now);
});

/** Calls that fail, each of another player. */
function fail(times: number, playerId?: string): void {
  for (let index = 0; index < times; index += 1) {
    breaker.admit();
    breaker.failed(playerId, 100);
  }
}

function succeed(times: number): void {
  for (let index = 0; index < times; index += 1) {
    breaker.admit();
    breaker.succeeded();
  }
}

describe("Breaker", () => {
  it("[PLUGIN-2] opens with the twentieth failure in a window, not with the nineteenth", () => {
    fail(19);
    expect(breaker.state).toBe("closed");
    fail(1);
    expect(breaker.state).toBe("open");
    expect(breaker.admit()).toBe(false);
  });

  it("stays closed while fewer than half of the calls fail", () => {
    fail(10);
    succeed(31);
    fail(20);
    expect(breaker.state).toBe("closed");
    fail(1);
    expect(breaker.state).toBe("open");
  });

  it("stays closed when failures are far apart", () => {
    for (let index = 0; index < 100; index += 1) {
      fail(1);
      now += 1_000;
    }
    expect(breaker.state).toBe("closed");
  });

  it("[PLUGIN-2] is not opened by two players alone, while there are others", () => {
    fail(1_000, "a");
    fail(1_000, "b");
    expect(breaker.state).toBe("closed");
    fail(1, "c");
    expect(breaker.state).toBe("open");
  });

  it("is opened by the only player there is", () => {
    for (let index = 0; index < 20; index += 1) breaker.failed("a", 1);
    expect(breaker.state).toBe("open");
  });

  it("lets one trial at a time through when its time is up, and closes after five that went well", () => {
    fail(20);
    now = 4_999;
    expect(breaker.admit()).toBe(false);
    now = 5_000;
    expect(breaker.admit()).toBe(true);
    expect(breaker.admit()).toBe(false);
    breaker.succeeded();
    succeed(3);
    expect(breaker.state).toBe("half-open");
    succeed(1);
    expect(breaker.state).toBe("closed");
    fail(19);
    expect(breaker.state).toBe("closed");
  });

  it("opens for twice as long after a trial that failed, up to five minutes", () => {
    fail(20);
    let openMs = 5_000;
    for (let index = 0; index < 10; index += 1) {
      now += openMs;
      expect(breaker.admit()).toBe(true);
      expect(breaker.failed(undefined, 0)).toBe(true);
      openMs = Math.min(300_000, openMs * 2);
      now += openMs - 1;
      expect(breaker.admit()).toBe(false);
      now += 1 - openMs;
    }
  });
});
