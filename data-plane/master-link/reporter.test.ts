import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LinkReport, SeatRef } from "../../protocol/index.ts";
import { Reporter, type ReportFacts } from "./reporter.ts";
import { isSelfNews } from "./self-report.ts";
import { SeatJournal } from "./seat-journal.ts";

let journal: SeatJournal;
let sent: LinkReport[];
let stuck: number;
let facts: ReportFacts;
let reporter: Reporter;

const seat = (name: string): SeatRef => ({ reservationId: name, playerId: name, generation: 1 });
const names = (seats: readonly SeatRef[] = []): string[] => seats.map(({ reservationId }) => reservationId);
const acknowledge = (): void =>
  reporter.acknowledged({ sequence: sent.at(-1)?.sequence ?? 0, reportIntervalMs: 1_000 });

function join(name: string): void {
  journal.joined(seat(name));
  reporter.news();
}

beforeEach(() => {
  vi.useFakeTimers();
  journal = new SeatJournal();
  sent = [];
  stuck = 0;
  facts = {};
  reporter = new Reporter({
    journal,
    send: (report) => sent.push(report),
    onStuck: () => (stuck += 1),
    reportIntervalMs: 1_000,
    ackTimeoutMs: 5_000,
    takesParts: true,
    facts: () => facts,
    isNews: isSelfNews,
  });
});
afterEach(() => {
  reporter.stop();
  vi.useRealTimers();
});

describe("Reporter", () => {
  it("begins with a full report, and goes on at the interval", () => {
    reporter.start();
    expect(sent.map(({ full }) => full)).toEqual([true]);
    acknowledge();
    vi.advanceTimersByTime(999);
    expect(sent).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(sent.map(({ full }) => full)).toEqual([true, false]);
  });

  it("sends news soon, in one report for all of it", () => {
    reporter.start();
    acknowledge();
    join("a");
    vi.advanceTimersByTime(60);
    join("b");
    vi.advanceTimersByTime(39);
    expect(sent).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(sent.at(-1)?.joined).toEqual([seat("a"), seat("b")]);
  });

  it("makes a report only after the one before was acknowledged", () => {
    reporter.start();
    join("a");
    vi.advanceTimersByTime(4_000);
    expect(sent).toHaveLength(1);
    acknowledge();
    vi.advanceTimersByTime(100);
    expect(sent.at(-1)?.joined).toEqual([seat("a")]);
  });

  it("is not content with the acknowledgement of an earlier report", () => {
    reporter.start();
    acknowledge();
    vi.advanceTimersByTime(1_000);
    reporter.acknowledged({ sequence: 1, reportIntervalMs: 1_000 });
    join("a");
    vi.advanceTimersByTime(3_000);
    expect(sent).toHaveLength(2);
  });

  it("keeps to the interval that the master asks for", () => {
    reporter.start();
    reporter.acknowledged({ sequence: 1, reportIntervalMs: 30_000 });
    join("a");
    vi.advanceTimersByTime(2_999);
    expect(sent).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(sent).toHaveLength(2);
    acknowledge();
  });

  it("says so when no acknowledgement comes", () => {
    reporter.start();
    vi.advanceTimersByTime(4_999);
    expect(stuck).toBe(0);
    vi.advanceTimersByTime(1);
    expect(stuck).toBe(1);
  });

  it("is silent once it is stopped", () => {
    reporter.start();
    acknowledge();
    join("a");
    reporter.stop();
    vi.advanceTimersByTime(60_000);
    expect([sent.length, stuck]).toEqual([1, 0]);
  });

  it("waits with news for as long as the master says", () => {
    reporter.start();
    reporter.acknowledged({ sequence: 1, reportIntervalMs: 10_000, gapMs: 8_000 });
    join("a");
    vi.advanceTimersByTime(7_999);
    expect(sent).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(names(sent[1]?.joined)).toEqual(["a"]);
  });

  it("is silent once the master says so, until there is something to tell", () => {
    facts = { tickMs: 1 };
    reporter.start();
    reporter.acknowledged({ sequence: 1, reportIntervalMs: 1_000, quiet: true });
    vi.advanceTimersByTime(600_000);
    expect(sent).toHaveLength(1);
    join("a");
    vi.advanceTimersByTime(100);
    expect(sent).toHaveLength(2);
    reporter.acknowledged({ sequence: 2, reportIntervalMs: 1_000, quiet: true });
    facts = { tickMs: 9, counters: { rooms: 1 } };
    vi.advanceTimersByTime(1_000);
    expect(sent[2]).toMatchObject({ tickMs: 9, counters: { rooms: 1 }, joined: [] });
    acknowledge();
    vi.advanceTimersByTime(1_000);
    expect(sent).toHaveLength(4);
  });

  it("is not silent about news that came while it waited for an acknowledgement", () => {
    reporter.start();
    reporter.news();
    reporter.acknowledged({ sequence: 1, reportIntervalMs: 1_000, quiet: true });
    vi.advanceTimersByTime(100);
    expect(sent).toHaveLength(2);
    reporter.acknowledged({ sequence: 2, reportIntervalMs: 1_000, quiet: true });
    vi.advanceTimersByTime(600_000);
    expect(sent).toHaveLength(2);
  });

  it("tells again what the master has put off, and does not take it for stuck meanwhile", () => {
    join("a");
    reporter.start();
    reporter.putOff({ type: "later", sequence: 1, retryAfterMs: 6_000 });
    join("b");
    vi.advanceTimersByTime(5_999);
    expect([sent.length, stuck]).toEqual([1, 0]);
    vi.advanceTimersByTime(1);
    expect([sent[1]?.sequence, names(sent[1]?.joined)]).toEqual([2, ["a", "b"]]);
    vi.advanceTimersByTime(5_000);
    expect(stuck).toBe(1);
  });

  it("lists everyone again where the master has put off the report that did: those whom it knew before, too", () => {
    join("a");
    journal.acknowledge(journal.report(false).sequence);
    reporter.start();
    reporter.putOff({ type: "later", sequence: 2, retryAfterMs: 1_000 });
    vi.advanceTimersByTime(1_000);
    reporter.putOff({ type: "later", sequence: 3, retryAfterMs: 1_000 });
    vi.advanceTimersByTime(1_000);
    acknowledge();
    vi.advanceTimersByTime(1_000);
    reporter.putOff({ type: "later", sequence: 5, retryAfterMs: 1_000 });
    vi.advanceTimersByTime(1_000);
    expect(sent.map(({ full, joined }) => [full, names(joined)])).toEqual([
      [true, ["a"]],
      [true, ["a"]],
      [true, ["a"]],
      [false, []],
      [false, []],
    ]);
  });

  it("lists more than a report holds in parts, one right after the other", () => {
    for (let index = 0; index < 2_500; index += 1) journal.joined(seat(`s${index}`));
    for (let index = 0; index < 3; index += 1) journal.acknowledge(journal.report(false).sequence);
    reporter.start();
    acknowledge();
    join("late");
    reporter.putOff({ type: "later", sequence: sent.at(-1)?.sequence ?? 0, retryAfterMs: 1_000 });
    vi.advanceTimersByTime(1_000);
    acknowledge();
    acknowledge();
    expect(sent.map(({ part }) => [part?.of, part?.index, part?.last])).toEqual([
      [4, 0, false],
      [4, 1, false],
      [4, 1, false],
      [4, 2, true],
    ]);
    const listed = new Set(sent.flatMap(({ joined }) => names(joined)));
    expect(listed.size).toBe(2_501);
    expect(journal.isListing).toBe(false);
  });
});
