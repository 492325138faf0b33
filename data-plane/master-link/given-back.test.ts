import { describe, expect, it } from "vitest";
import { GivenBackTickets, maxGivenBack } from "./given-back.ts";

function ticketsAt(start = 0) {
  const clock = { ms: start };
  return { clock, tickets: new GivenBackTickets(() => clock.ms) };
}

describe("[TICKET-13] a ticket whose seat was given back", () => {
  it("joins no more, for as long as it could", () => {
    const { clock, tickets } = ticketsAt();
    expect(tickets.refuse("a", 60_000)).toBe(true);
    expect(tickets.refuse("a", 60_000)).toBe(true);
    clock.ms = 59_999;
    expect([tickets.admit("a"), tickets.admit("b")]).toEqual([false, true]);
  });

  it("is not refused while its join is under way: nothing is promised to the master", () => {
    const { clock, tickets } = ticketsAt();
    expect(tickets.admit("a")).toBe(true);
    clock.ms = 9_999;
    expect(tickets.refuse("a", 60_000)).toBe(false);
    expect(tickets.admit("a")).toBe(true);
    clock.ms = 30_000;
    expect(tickets.refuse("a", 60_000)).toBe(true);
    expect(tickets.admit("a")).toBe(false);
  });

  it("is one of a bounded number; past it nothing is promised, and nothing that was is forgotten", () => {
    const { clock, tickets } = ticketsAt();
    for (let index = 0; index < maxGivenBack; index += 1) expect(tickets.refuse(`r${index}`, 60_000)).toBe(true);
    expect(tickets.refuse("one more", 60_000)).toBe(false);
    expect(tickets.refuse("r5", 60_000)).toBe(true);
    expect([tickets.admit("r0"), tickets.admit("one more")]).toEqual([false, true]);
    clock.ms = 60_000;
    expect(tickets.refuse("another", 60_000)).toBe(true);
  });
});
