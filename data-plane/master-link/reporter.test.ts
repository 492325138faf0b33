import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LinkReport, SeatRef } from "../../protocol/index.ts";
import { Reporter } from "./reporter.ts";
import { SeatJournal } from "./seat-journal.ts";

let journal: SeatJournal;
let sent: LinkReport[];
let stuck: number;
let reporter: Reporter;

const seat = (name: string): SeatRef => ({ reservationId: name, playerId: name, generation: 1 });
const acknowledge = (): void => reporter.acknowledged(sent.at(-1)?.sequence ?? 0, 1_000);

function join(name: string): void {
  journal.joined(seat(name));
  reporter.news();
}

beforeEach(() => {
  vi.useFakeTimers();
  journal = new SeatJournal();
  sent = [];
  stuck = 0;
  reporter = new Reporter({
    journal,
    send: (report) => sent.push(report),
    onStuck: () => (stuck += 1),
    reportIntervalMs: 1_000,
    ackTimeoutMs: 5_000,
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
    reporter.acknowledged(1, 1_000);
    join("a");
    vi.advanceTimersByTime(3_000);
    expect(sent).toHaveLength(2);
  });

  it("keeps to the interval that the master asks for", () => {
    reporter.start();
    reporter.acknowledged(1, 30_000);
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
});
