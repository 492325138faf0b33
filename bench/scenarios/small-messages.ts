import { compare } from "../row.ts";
import { everyone, measureSteady } from "../steady.ts";
import type { Scenario } from "./scenario.ts";

const players = 100;
const messages = 10;
const payloadBytes = 16;
const tickHz = 20;

/** Each tick the server sends ten messages of 16 bytes to each player, no two alike. */
export const smallMessages: Scenario = {
  name: "small-messages",
  run: async (setup, wanted) => {
    const contenders = [
      "sustenet",
      "colyseus-wss",
      "colyseus-ws",
      "raw-tls-one-write",
      "raw-tls",
      "sustenet-state",
    ] as const;
    const outcomes = await measureSteady(setup, {
      scenario: "small-messages",
      entrants: everyone(contenders.filter(wanted), players, players * messages * tickHz),
      payloadBytes,
      tickHz,
      start: (side) => side.setWork({ messages, payloadBytes }),
      stop: async (side) => {
        await side.setWork(undefined);
        return {};
      },
    });
    return compare("small-messages", "µs of CPU a message", outcomes, [
      { peer: "colyseus-wss", goal: 0.2 },
      { peer: "colyseus-ws", goal: 1 },
      { peer: "raw-tls-one-write", goal: null },
      { peer: "raw-tls", goal: null },
      { ours: "sustenet-state", peer: "colyseus-wss", goal: null },
      { ours: "sustenet-state", peer: "raw-tls-one-write", goal: null },
    ]);
  },
};
