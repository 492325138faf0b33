import { describe, expect, it } from "vitest";
import { openClient, stepClient } from "./model-client.ts";
import type { ClientEvent } from "./model-client-state.ts";

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

describe("the modelled client", () => {
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

  it("[HAND-10] comes back with the position that it has news of", () => {
    expect(after(...playing, output(a, 1), down(a)).last).toEqual([
      { type: "return", to: a, position: { tenure: 10, received: 1, acknowledged: 0 } },
    ]);
  });

  it("goes back when the old side says so, and takes the streams up there anew", () => {
    const stay: Event = { type: "told", from: a, message: { type: "stay", id: "h" } };
    const { last } = after(...playing, redirect, stay);
    expect(last.map((effect) => effect.type)).toEqual(["close", "return"]);
    expect(after(...playing, input("one"), redirect, input("two"), stay, welcome(a, 10, 1)).last).toEqual([
      { type: "send", to: a, sequence: 2, body: "two", received: 0 },
    ]);
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
});
