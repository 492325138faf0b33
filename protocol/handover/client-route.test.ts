import { describe, expect, it } from "vitest";
import { openRoute, type RouteEvent, type RouteStep, stepRoute } from "./client-route.ts";

const a = { clusterId: "A", boot: 1 };
const b = { clusterId: "B", boot: 1 };
const redirect: RouteEvent = {
  type: "told",
  from: a,
  message: { type: "redirect", id: "h", destination: b, key: "key", token: "token" },
};
const playing = [{ type: "allocated", cluster: a, ticket: "ticket" }, welcome(a, 10)] as const;
const timeout: RouteEvent = { type: "timeout" };

function welcome(from: typeof a, tenure: number): RouteEvent {
  return { type: "welcome", from, tenure, lastInput: 0, fresh: false };
}

function down(from: typeof a): RouteEvent {
  return { type: "linkDown", from };
}

function after(...events: readonly RouteEvent[]) {
  let step: RouteStep = { route: openRoute(2), effects: [] };
  for (const event of events) step = stepRoute(step.route, event);
  return { route: step.route, last: step.effects };
}

describe("the client's way", () => {
  it("allocates, joins and plays", () => {
    expect(after(playing[0]).last).toEqual([{ type: "join", to: a, ticket: "ticket" }]);
    const { route, last } = after(...playing);
    expect(route).toMatchObject({ phase: "playing", at: { cluster: a, tenure: 10 } });
    expect(last).toEqual([{ type: "play", from: a, tenure: 10, lastInput: 0, fresh: false }]);
  });

  it("goes to where it is sent, and closes the old connection when it is welcome there", () => {
    const { route, last } = after(...playing, redirect);
    expect(route).toMatchObject({ phase: "moving", at: { cluster: a } });
    expect(last).toMatchObject([{ type: "arrive", move: { destination: b, key: "key", token: "token" } }]);
    expect(after(...playing, redirect, welcome(b, 11)).last).toMatchObject([
      { type: "close", to: a },
      { type: "play", from: b, tenure: 11 },
    ]);
  });

  it("goes on to where the destination sends it", () => {
    const c = { clusterId: "C", boot: 1 };
    const onward: RouteEvent = {
      type: "told",
      from: b,
      message: { type: "redirect", id: "h2", destination: c, key: "k2", token: "t2" },
    };
    const { last, route } = after(...playing, redirect, onward);
    expect(last.map((effect) => effect.type)).toEqual(["close", "arrive"]);
    expect(route).toMatchObject({ phase: "moving", at: undefined, move: { destination: c } });
  });

  it("returns to where it was when the connection breaks, a bounded number of times, and then allocates", () => {
    const { last, route } = after(...playing, down(a));
    expect(route.phase).toBe("returning");
    expect(last).toEqual([{ type: "return", to: a }]);
    expect(after(...playing, down(a), down(a), timeout).last).toMatchObject([{ type: "return" }]);
    const given = after(...playing, down(a), down(a), timeout, down(a), timeout);
    expect(given).toMatchObject({ route: { phase: "allocating" }, last: [{ type: "close" }, { type: "allocate" }] });
    expect(after(...playing, down(a), { type: "refused", from: a }).route.phase).toBe("allocating");
  });

  it("waits at the old side when the destination refuses it, and allocates when there is no old side", () => {
    const refused: RouteEvent = { type: "refused", from: b };
    expect(after(...playing, redirect, refused).route).toMatchObject({ phase: "moving", connecting: false });
    expect(after(...playing, redirect, refused, timeout).last).toMatchObject([{ type: "arrive" }]);
    expect(after(...playing, redirect, down(a), refused).route.phase).toBe("allocating");
  });

  it("[REDIRECT-5] counts its tries though it is told the same again between them", () => {
    const refused: RouteEvent = { type: "refused", from: b };
    expect(after(...playing, redirect, refused, redirect).last).toEqual([]);
    const tries = [refused, redirect, timeout, refused, redirect, timeout] as const;
    expect(after(...playing, redirect, ...tries).route).toMatchObject({ phase: "allocating" });
  });

  it("stops when the same player has joined from elsewhere", () => {
    const { route } = after(...playing, { type: "replaced", from: a }, timeout, down(a));
    expect(route.phase).toBe("ended");
    expect(after(...playing, redirect, welcome(b, 11), { type: "replaced", from: a }).route.phase).toBe("playing");
  });
});
