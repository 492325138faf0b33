import { join as joinPath } from "node:path";
import type { ContenderName } from "../contenders/contender.ts";
import type { SeatWay } from "../load/endpoint.ts";
import { compare, type Outcome, outcomeOf } from "../row.ts";
import type { Setup } from "../setup.ts";
import { pause, Side } from "../side.ts";
import { median, significant } from "../statistics.ts";
import { type Measured, measure } from "../window.ts";
import type { Scenario } from "./scenario.ts";

/** The dearest peer needs about 4 ms of CPU for one. */
const joinsPerSecond = 100;
/** Players of the warm-up who are there together. */
const joinsAtOnce = 400;

interface Entrant {
  readonly key: string;
  readonly contender: ContenderName;
  readonly seats?: SeatWay;
}

const entrants: readonly Entrant[] = [
  { key: "sustenet", contender: "sustenet" },
  { key: "raw-tls", contender: "raw-tls" },
  { key: "colyseus-wss", contender: "colyseus-wss", seats: "pooled" },
  { key: "colyseus-ws", contender: "colyseus-ws", seats: "pooled" },
  { key: "colyseus-wss-reserved", contender: "colyseus-wss", seats: "reserved" },
  { key: "colyseus-wss-fresh", contender: "colyseus-wss", seats: "fresh" },
  { key: "colyseus-wss-sdk", contender: "colyseus-wss", seats: "sdk" },
];

/** Players who have never been there come at a fixed rate, and stay until the window is over. */
export const join: Scenario = {
  name: "join",
  run: async (setup, wanted) => {
    const outcomes = await measureJoins(
      setup,
      entrants.filter(({ contender }) => wanted(contender)),
    );
    const inAnyWay = { peer: "colyseus-wss", goal: null } as const;
    return compare("join", "µs of CPU a join", outcomes, [
      { peer: "raw-tls", goal: 1.35 },
      { peer: "colyseus-wss", goal: 1 / 2.2 },
      { peer: "colyseus-ws", goal: null },
      { ...inAnyWay, as: { key: "colyseus-wss-reserved", title: "Colyseus wss, seat reserved beforehand" } },
      { ...inAnyWay, as: { key: "colyseus-wss-fresh", title: "Colyseus wss, a connection for each reservation" } },
      { ...inAnyWay, as: { key: "colyseus-wss-sdk", title: "Colyseus wss, joined with its own SDK" } },
    ]);
  },
};

async function measureJoins(setup: Setup, wanted: readonly Entrant[]): Promise<Map<string, Outcome>> {
  const { effort } = setup;
  const sides = new Map<string, Side>();
  const windows = new Map<string, Measured[]>();
  const times = new Map<string, number[]>();
  try {
    for (const { key, contender, seats } of wanted) {
      setup.say(`join: ${key} warms up`);
      const side = await Side.open(setup, { contender, payloadBytes: 64, tickHz: 30, ...(seats && { seats }) });
      sides.set(key, side);
      await warmUp(side, effort.warmUpJoins);
    }
    for (let round = 0; round < effort.rounds; round++) {
      for (const [key, side] of sides) {
        setup.say(`join: round ${round + 1} of ${effort.rounds}, ${key}`);
        const { measured, p50Ms } = await oneWindow(setup, side, effort.windowMs, key);
        windows.set(key, [...(windows.get(key) ?? []), measured]);
        times.set(key, [...(times.get(key) ?? []), p50Ms]);
      }
    }
  } finally {
    await Promise.all([...sides.values()].map((side) => side.close()));
  }
  return new Map(
    [...windows].map(([key, measured]) => [
      key,
      outcomeOf(measured, { p50Ms: significant(median(times.get(key) ?? [])) }),
    ]),
  );
}

async function warmUp(side: Side, joins: number): Promise<void> {
  for (let done = 0; done < joins; done += joinsAtOnce) {
    await side.prepare(joinsAtOnce);
    await side.join(joinsAtOnce, joinsPerSecond);
    await side.leave();
  }
}

async function oneWindow(setup: Setup, side: Side, windowMs: number, profileAs: string) {
  const { profileDir } = setup;
  const count = Math.round((joinsPerSecond * windowMs) / 1_000);
  await side.prepare(count);
  if (profileDir !== undefined) await side.startProfile();
  let p50Ms = 0;
  const measured = await measure(side, setup.cores, async () => {
    const startMs = performance.now();
    ({ p50Ms } = await side.join(count, joinsPerSecond));
    const seconds = (performance.now() - startMs) / 1_000;
    // A server may have work left after it has let the last one in.
    await pause(200);
    // Who cannot keep up takes longer: then fewer were done in the time than were to be.
    return { operations: count, offered: joinsPerSecond * Math.max(0, seconds - 0.1) };
  });
  if (profileDir !== undefined) await side.stopProfile(joinPath(profileDir, `join-${profileAs}.cpuprofile`));
  await side.leave();
  return { measured, p50Ms };
}
