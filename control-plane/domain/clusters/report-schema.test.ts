import { describe, expect, it } from "vitest";
import { maxReportSeats } from "../../../protocol/index.ts";
import { maxReportChars, parseLinkMessage } from "./report-schema.ts";

const report = { type: "report", sequence: 1, full: true, players: 1, joined: [], left: [] };
const seat = { reservationId: "r".repeat(64), playerId: "p".repeat(64), generation: Number.MAX_SAFE_INTEGER };

describe("a report", () => {
  it("is taken as it is", () => {
    expect(parseLinkMessage(JSON.stringify(report))).toEqual(report);
    const more = { ...report, tickMs: 4.5, counters: { rooms: 3 } };
    expect(parseLinkMessage(JSON.stringify(more))).toEqual(more);
  });

  it("of the greatest size fits", () => {
    const joined = Array.from({ length: maxReportSeats }, () => seat);
    const text = JSON.stringify({ ...report, joined, left: joined });
    expect(text.length).toBeLessThan(maxReportChars);
    expect(parseLinkMessage(text)).toHaveProperty("type", "report");
    expect(parseLinkMessage(text + " ".repeat(maxReportChars))).toHaveProperty("fault");
  });

  it.each([
    ["not JSON", "{"],
    ["not an object", "[]"],
    ["an unknown field", JSON.stringify({ ...report, more: 1 })],
    ["another type", JSON.stringify({ ...report, type: "ping" })],
    ["sequence 0", JSON.stringify({ ...report, sequence: 0 })],
    ["a fraction of a player", JSON.stringify({ ...report, players: 0.5 })],
    ["a seat without player", JSON.stringify({ ...report, joined: [{ reservationId: "r", generation: 1 }] })],
    ["a generation of 0", JSON.stringify({ ...report, left: [{ ...seat, generation: 0 }] })],
    ["a negative tick time", JSON.stringify({ ...report, tickMs: -1 })],
    ["a counter with a quotation mark", JSON.stringify({ ...report, counters: { 'a"': 1 } })],
    ["a counter that is no number", JSON.stringify({ ...report, counters: { a: "1" } })],
    ["a counter without end", JSON.stringify({ ...report, counters: { a: 1 } }).replace(":1}}", ":1e999}}")],
    [
      "too many counters",
      JSON.stringify({ ...report, counters: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`c${n}`, n])) }),
    ],
    ["one seat too many", JSON.stringify({ ...report, left: Array.from({ length: maxReportSeats + 1 }, () => seat) })],
  ])("with %s is refused", (_, text) => {
    expect(parseLinkMessage(text)).toHaveProperty("fault");
  });
});
