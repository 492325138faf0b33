import { describe, expect, it } from "vitest";
import { openClient, stepClient } from "./client.ts";
import type { ClientEvent } from "./client-state.ts";

type Event = ClientEvent<string>;

const a = { clusterId: "A", boot: 1 };
const b = { clusterId: "B", boot: 1 };
const allocated: Event = { type: "allocated", cluster: a, ticket: "ticket" };
const redirect: Event = {
  type: "told",
  from: a,
  message: { type: "redirect", id: "h", destination: b, key: "key", token: "token" },
};
const playing = [allocated, welcome(a, 10, 0, true)] as const;
const timeout: Event = { type: "timeout" };

function welcome(from: typeof a, tenure: number, lastInput: number, fresh = false): Event {
  return { type: "welcome", from, tenure, lastInput, fresh };
}

function input(body: string): Event {
  return { type: "input", body };
}

function output(from: typeof a, sequence: number): Event {
  return { type: "output", from, sequence, body: `output ${sequence}` };
}

function down(from: typeof a): Event {
  return { type: "linkDown", from };
}

function after(...events: readonly Event[]) {
  let { state, effects } = openClient<string>(2);
  const all = [...effects];
  for (const event of events) {
    ({ state, effects } = stepClient(state, event));
    all.push(...effects);
  }
  const delivered = all.flatMap((effect) => (effect.type === "deliver" ? [effect.body] : []));
  return { state, effects: all, last: effects, delivered };
}

describe("the client", () => {
  it("allocates, joins and plays", () => {
    const { effects, state } = after(...playing, input("i"));
    expect(effects.map((effect) => effect.type)).toEqual(["allocate", "join", "send"]);
    expect(state.phase).toBe("playing");
  });

  it("[HAND-9] resumes at the destination from what that has applied, and closes the old connection then", () => {
    const moving = after(...playing, input("one"), input("two"), redirect, input("three"));
    expect(moving.state.phase).toBe("moving");
    expect(moving.effects.at(-1)).toMatchObject({
      type: "arrive",
      move: { destination: b, key: "key", token: "token" },
    });
    const { state, last } = after(...playing, input("one"), input("two"), redirect, input("three"), welcome(b, 11, 1));
    expect(state).toMatchObject({ phase: "playing", at: { cluster: b, tenure: 11 } });
    expect(last).toEqual([
      { type: "close", to: a },
      { type: "send", to: b, sequence: 2, body: "two", received: 0 },
      { type: "send", to: b, sequence: 3, body: "three", received: 0 },
    ]);
  });

  it("[HAND-9] takes each output once and in order, whichever side it comes from", () => {
    const both = [
      output(a, 1),
      output(a, 1),
      redirect,
      output(a, 2),
      welcome(b, 11, 0),
      output(b, 2),
      output(b, 3),
      output(a, 3),
    ];
    expect(after(...playing, ...both).delivered).toEqual(["output 1", "output 2", "output 3"]);
    expect(after(...playing, output(a, 2)).delivered).toEqual([]);
  });

  it("[HAND-10] keeps to the tenure that it has news of", () => {
    const arrived = after(...playing, output(a, 1), redirect, welcome(b, 11, 0));
    expect(arrived.state.streams.tenure).toBe(10);
    expect(after(...playing, output(a, 1), redirect, welcome(b, 11, 0), output(b, 2)).state.streams.tenure).toBe(11);
    expect(after(...playing, input("i"), redirect, welcome(b, 11, 1)).state.streams.tenure).toBe(11);
  });

  it("goes back when the old side says so, and takes the streams up there anew", () => {
    const stay: Event = { type: "told", from: a, message: { type: "stay", id: "h" } };
    const { last } = after(...playing, redirect, stay);
    expect(last.map((effect) => effect.type)).toEqual(["close", "return"]);
    expect(after(...playing, input("one"), redirect, input("two"), stay, welcome(a, 10, 1)).last).toEqual([
      { type: "send", to: a, sequence: 2, body: "two", received: 0 },
    ]);
  });

  it("goes on to where the destination sends it", () => {
    const c = { clusterId: "C", boot: 1 };
    const onward: Event = {
      type: "told",
      from: b,
      message: { type: "redirect", id: "h2", destination: c, key: "k2", token: "t2" },
    };
    const { last, state } = after(...playing, redirect, onward);
    expect(last.map((effect) => effect.type)).toEqual(["close", "arrive"]);
    expect(state).toMatchObject({ phase: "moving", at: undefined, move: { destination: c } });
  });

  it("returns to where it was when the connection breaks, a bounded number of times, and then allocates", () => {
    const { last, state } = after(...playing, output(a, 1), down(a));
    expect(state.phase).toBe("returning");
    expect(last).toEqual([{ type: "return", to: a, position: { tenure: 10, received: 1, acknowledged: 0 } }]);
    expect(after(...playing, down(a), down(a), timeout).last).toMatchObject([{ type: "return" }]);
    const given = after(...playing, down(a), down(a), timeout, down(a), timeout);
    expect(given).toMatchObject({ state: { phase: "allocating" }, last: [{ type: "close" }, { type: "allocate" }] });
    expect(after(...playing, down(a), { type: "refused", from: a }).state.phase).toBe("allocating");
  });

  it("waits at the old side when the destination refuses it, and allocates when there is no old side", () => {
    const refused: Event = { type: "refused", from: b };
    expect(after(...playing, redirect, refused).state).toMatchObject({ phase: "moving", connecting: false });
    expect(after(...playing, redirect, refused, timeout).last).toMatchObject([{ type: "arrive" }]);
    expect(after(...playing, redirect, down(a), refused).state.phase).toBe("allocating");
  });

  it("[REDIRECT-5] counts its tries though it is told the same again between them", () => {
    const refused: Event = { type: "refused", from: b };
    expect(after(...playing, redirect, refused, redirect).last).toEqual([]);
    const tries = [refused, redirect, timeout, refused, redirect, timeout] as const;
    expect(after(...playing, redirect, ...tries).state).toMatchObject({ phase: "allocating" });
  });

  it("[HAND-10] says what is lost when it has to start afresh, and counts from one again", () => {
    const again = [down(a), { type: "refused", from: a }, { ...allocated, cluster: b }] as const;
    const { state, last } = after(...playing, input("one"), output(a, 1), ...again, welcome(b, 20, 0, true));
    expect(last).toEqual([{ type: "startAfresh", lost: ["one"] }]);
    expect(state.streams).toEqual({ tenure: 20, received: 0, acknowledged: 0, unacknowledged: [] });
  });

  it("keeps what was entered before the first welcome", () => {
    const { last } = after(input("early"), ...playing);
    expect(last).toEqual([{ type: "send", to: a, sequence: 1, body: "early", received: 0 }]);
  });

  it("stops when the same player has joined from elsewhere", () => {
    const { state } = after(...playing, { type: "replaced", from: a }, timeout, down(a));
    expect(state.phase).toBe("ended");
    expect(after(...playing, redirect, welcome(b, 11, 0), { type: "replaced", from: a }).state.phase).toBe("playing");
  });
});
