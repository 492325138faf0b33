import { compare } from "../row.ts";
import { everyone, measureSteady } from "../steady.ts";
import type { Scenario } from "./scenario.ts";

const players = 300;
/** 30 a second from each player: as often as a game's client may send its input. */
const perSecond = 9_000;
const contenders = ["sustenet", "raw-tls", "colyseus-wss", "colyseus-ws", "raw-wss"] as const;

/** Every player sends 64 bytes, evenly spread over time, and gets them back. */
export const echo: Scenario = {
  name: "echo",
  run: async (setup, wanted) => {
    const outcomes = await measureSteady(setup, {
      scenario: "echo",
      entrants: everyone(contenders.filter(wanted), players, perSecond),
      payloadBytes: 64,
      tickHz: 30,
      start: (side) => side.startEcho(perSecond),
      stop: (side) => side.stopEcho(),
    });
    return compare("echo", "µs of CPU a message", outcomes, [
      { peer: "raw-tls", goal: 1.15 },
      { peer: "colyseus-wss", goal: 0.55 },
      { peer: "colyseus-ws", goal: null },
      { peer: "raw-wss", goal: null },
    ]);
  },
};
