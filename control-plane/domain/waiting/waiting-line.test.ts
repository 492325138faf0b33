import { describe, expect, it } from "vitest";
import { randomSource } from "../testing/random-source.ts";
import { minPatienceMs, type Place, WaitingLine } from "./waiting-line.ts";

const nowMs = 1_000_000;

function visit(visitor: string, reservationId = `r-${visitor}`, size = 1) {
  return { visitor, reservationId, size };
}

function lineOf(...visitors: string[]): WaitingLine {
  const line = new WaitingLine([]);
  for (const visitor of visitors) line.enter(visit(visitor), nowMs);
  return line;
}

function order(line: WaitingLine): readonly string[] {
  return line.places.map(({ visitor }) => visitor);
}

describe("a line", () => {
  it("[WAIT-3] is in the order in which visitors came, whatever they do after", () => {
    const line = lineOf("a", "b", "c");
    const place = line.enter(visit("a", "another"), nowMs + 5);
    expect(place?.reservationId).toBe("another");
    expect(order(line)).toEqual(["a", "b", "c"]);
    expect(line.places.map((each) => line.aheadOf(each))).toEqual([0, 1, 2]);
  });

  it("[WAIT-5] lets go who leaves, for that operation alone", () => {
    const line = lineOf("a", "b", "c");
    expect(line.leave({ visitor: "b", reservationId: "older" })).toBeUndefined();
    expect(line.leave({ visitor: "b", reservationId: "r-b" })?.visitor).toBe("b");
    expect(line.leave({ visitor: "b", reservationId: "r-b" })).toBeUndefined();
    expect(order(line)).toEqual(["a", "c"]);
    line.enter(visit("b"), nowMs);
    expect(order(line)).toEqual(["a", "c", "b"]);
  });

  it("[WAIT-5] forgets who stays away, not who comes again", () => {
    const line = lineOf("a", "b");
    const place = line.placeOf("b");
    if (place !== undefined) line.keep(place, { dueAtMs: nowMs, expiresAtMs: nowMs + 2 * minPatienceMs });
    expect(line.expire(nowMs + minPatienceMs - 1)).toEqual([]);
    expect(line.expire(nowMs + minPatienceMs).map(({ visitor }) => visitor)).toEqual(["a"]);
    expect(order(line)).toEqual(["b"]);
  });

  it("[WAIT-5] has who is late at the old place again, and in time", () => {
    const line = lineOf("a", "b");
    const place = line.placeOf("a");
    if (place !== undefined) line.keep(place, { dueAtMs: nowMs + 1, expiresAtMs: nowMs + minPatienceMs });
    expect(line.enter(visit("a"), nowMs + 5_000)?.dueAtMs).toBeGreaterThan(nowMs + 5_000);
    expect(order(line)).toEqual(["a", "b"]);
  });

  it("[WAIT-8] has a bound, which turns nobody away who is in it", () => {
    const line = new WaitingLine([], 0, 2);
    expect([line.enter(visit("a"), nowMs), line.enter(visit("b"), nowMs)]).not.toContain(undefined);
    expect(line.enter(visit("c"), nowMs)).toBeUndefined();
    expect(line.enter(visit("b"), nowMs)?.visitor).toBe("b");
    line.leave({ visitor: "a", reservationId: "r-a" });
    expect(line.enter(visit("c"), nowMs)?.visitor).toBe("c");
  });

  it("goes on where it was after it was stored", () => {
    const line = lineOf("a", "b");
    const again = new WaitingLine(line.places.toReversed(), 7);
    expect(order(again)).toEqual(["a", "b"]);
    expect(again.enter(visit("c"), nowMs)?.sequence).toBe(8);
  });
});

it.each(Array.from({ length: 50 }, (_, seed) => seed))(
  "[WAIT-2] [WAIT-3] no history loses a place or changes the order (seed %i)",
  (seed) => {
    const random = randomSource(seed);
    let line = new WaitingLine([], 0, 12);
    /** What the line has to be, told in the plainest way. */
    let model: { readonly visitor: string; readonly reservationId: string; readonly expiresAtMs: number }[] = [];
    let now = nowMs;
    for (let step = 0; step < 300; step += 1) {
      const visitor = `v${random.below(16)}`;
      const reservationId = `r${random.below(3)}`;
      const known = model.find((each) => each.visitor === visitor);
      switch (random.below(5)) {
        case 0:
        case 1: {
          line.enter({ visitor, reservationId, size: 1 + random.below(4) }, now);
          if (known !== undefined) {
            model = model.map((each) => (each === known ? { ...known, reservationId } : each));
          } else if (model.length < 12) {
            model.push({ visitor, reservationId, expiresAtMs: now + minPatienceMs });
          }
          break;
        }
        case 2: {
          const place: Place | undefined = line.placeOf(visitor);
          if (place === undefined) break;
          const expiresAtMs = now + 20_000 + random.below(20_000);
          line.keep(place, { dueAtMs: now, expiresAtMs });
          model = model.map((each) => (each.visitor === visitor ? { ...each, expiresAtMs } : each));
          break;
        }
        case 3: {
          line.leave({ visitor, reservationId });
          model = model.filter((each) => each.visitor !== visitor || each.reservationId !== reservationId);
          break;
        }
        default: {
          now += random.below(8_000);
          line.expire(now);
          model = model.filter(({ expiresAtMs }) => expiresAtMs > now);
          // Its owner's memory is lost.
          line = new WaitingLine(line.places, line.places.at(-1)?.sequence ?? 0, 12);
        }
      }
      expect(order(line)).toEqual(model.map((each) => each.visitor));
      for (const [index, each] of model.entries()) {
        const place = line.placeOf(each.visitor);
        expect(place?.reservationId).toBe(each.reservationId);
        expect(place === undefined ? -1 : line.aheadOf(place)).toBe(index);
      }
    }
  },
);
