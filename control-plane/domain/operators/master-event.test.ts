import { describe, expect, it } from "vitest";
import { EventRing, type MasterEvent } from "./master-event.ts";

const event: MasterEvent = { type: "cluster.state", subject: "cluster:default.x", data: { state: "ready" } };

function ring(count: number): EventRing {
  const events = new EventRing("abc", 4);
  for (let index = 1; index <= count; index += 1) events.add(event, index);
  return events;
}

const ids = (point: ReturnType<EventRing["resume"]>) =>
  point.kind === "start" ? [] : point.events.map(({ id }) => id);

describe("the ring of events", () => {
  it("starts with what comes next", () => {
    expect(ring(3).resume(undefined)).toEqual({ kind: "start" });
  });

  it("resumes after an id that it has, or has just let go of", () => {
    const events = ring(10);
    expect(events.resume("abc-8")).toMatchObject({ kind: "after" });
    expect(ids(events.resume("abc-8"))).toEqual(["abc-9", "abc-10"]);
    expect(ids(events.resume("abc-10"))).toEqual([]);
    expect(events.resume("abc-6")).toMatchObject({ kind: "after" });
    expect(ids(events.resume("abc-6"))).toHaveLength(4);
  });

  it("says that there is a gap after an older id, one of another epoch, one to come, or nonsense", () => {
    const events = ring(10);
    for (const id of ["abc-5", "abd-8", "abc-11", "abc-99999", "nonsense", ""]) {
      expect(events.resume(id).kind, id).toBe("gap");
      expect(ids(events.resume(id))).toEqual(["abc-7", "abc-8", "abc-9", "abc-10"]);
    }
    expect(ring(0).resume("abc-0")).toEqual({ kind: "after", events: [] });
  });
});
