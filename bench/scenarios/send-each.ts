import { compare } from "../row.ts";
import { everyone, measureSteady } from "../steady.ts";
import type { Scenario } from "./scenario.ts";

const players = 1_000;
/** Fewer ticks than a cluster's default of 30: the dearest peer has to keep up, or the row would be void. */
const tickHz = 20;
const contenders = ["sustenet", "raw-tls", "colyseus-wss", "colyseus-ws", "raw-wss", "sustenet-state"] as const;

/** Each tick the server sends one message of 64 bytes to each player, no two alike. */
export const sendEach: Scenario = {
  name: "send-each",
  run: async (setup, wanted) => {
    const outcomes = await measureSteady(setup, {
      scenario: "send-each",
      entrants: everyone(contenders.filter(wanted), players, players * tickHz),
      payloadBytes: 64,
      tickHz,
      start: (side) => side.setWork({ messages: 1, payloadBytes: 64 }),
      stop: async (side) => {
        await side.setWork(undefined);
        return {};
      },
    });
    return compare("send-each", "µs of CPU a send", outcomes, [
      { peer: "raw-tls", goal: 1.15 },
      { peer: "colyseus-wss", goal: null },
      { peer: "colyseus-ws", goal: null },
      { peer: "raw-wss", goal: null },
      { ours: "sustenet-state", peer: "raw-tls", goal: null },
    ]);
  },
};
