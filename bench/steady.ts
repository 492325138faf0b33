import { join } from "node:path";
import type { ContenderName } from "./contenders/contender.ts";
import { type Detail, type Outcome, outcomeOf } from "./row.ts";
import type { Setup } from "./setup.ts";
import { pause, Side } from "./side.ts";
import { significant, median } from "./statistics.ts";
import { type Measured, measure } from "./window.ts";

/** A side of a comparison under a load that goes on and on. */
export interface Entrant {
  /** How it is called in the outcomes: unique. */
  readonly key: string;
  readonly contender: ContenderName;
  readonly players: number;
  /** Messages that are to arrive at the players, in all, a second. */
  readonly perSecond: number;
}

/** A load that goes on and on, and what it takes to measure it. */
export interface SteadyLoad {
  readonly scenario: string;
  readonly entrants: readonly Entrant[];
  /** Given, or taken from the sides that are up already. */
  readonly payloadBytes: number | ((opened: readonly Side[]) => Promise<number>);
  readonly tickHz: number;
  /** What a cost is divided by: messages that arrived, unless it is players and seconds. */
  readonly costOf?: "message" | "player-second";
  start(side: Side, entrant: Entrant): Promise<void>;
  /** Ends the load; what it returns is kept, by name, for the row's details. */
  stop(side: Side, entrant: Entrant): Promise<Readonly<Record<string, number>>>;
  /** Told of each window, as it begins and as it ends. */
  onWindow?(side: Side, entrant: Entrant, edge: "start" | "end"): Promise<void>;
}

/** What a side came to. */
export interface SteadyRun {
  readonly windows: readonly Measured[];
  readonly detail: Detail;
}

/** How fast the players join before it begins; it is not measured. */
const joinsPerSecond = 150;

/** Contenders that all have the same to do, called by their names. */
export function everyone(contenders: readonly ContenderName[], players: number, perSecond: number): readonly Entrant[] {
  return contenders.map((contender) => ({ key: contender, contender, players, perSecond }));
}

/** The outcomes of {@link measureWindows}. */
export async function measureSteady(setup: Setup, load: SteadyLoad): Promise<Map<string, Outcome>> {
  const runs = await measureWindows(setup, load);
  return new Map([...runs].map(([key, { windows, detail }]) => [key, outcomeOf(windows, detail)]));
}

/**
 * Measures the entrants in turn, A B C A B C …, with all of them up and all players joined, but only one under load at a time:
 * what drifts on the machine drifts for all.
 */
export async function measureWindows(setup: Setup, load: SteadyLoad): Promise<Map<string, SteadyRun>> {
  const sides = new Map<Entrant, Side>();
  try {
    for (const entrant of load.entrants) sides.set(entrant, await openSide(setup, load, entrant, [...sides.values()]));
    const windows = new Map([...sides.keys()].map((entrant) => [entrant, [] as Measured[]]));
    const notes = new Map([...sides.keys()].map((entrant) => [entrant, new Map<string, number[]>()]));
    for (let round = 0; round < setup.effort.rounds; round++) {
      for (const [entrant, side] of sides) {
        setup.say(`${load.scenario}: round ${round + 1} of ${setup.effort.rounds}, ${entrant.key}`);
        const { measured, note } = await oneWindow(setup, load, entrant, side);
        windows.get(entrant)?.push(measured);
        for (const [name, value] of Object.entries(note)) append(notes.get(entrant), name, value);
      }
    }
    return new Map(
      [...sides.keys()].map((entrant) => {
        const detail = [...(notes.get(entrant) ?? [])].map(([name, values]) => [name, significant(median(values))]);
        return [entrant.key, { windows: windows.get(entrant) ?? [], detail: Object.fromEntries(detail) }];
      }),
    );
  } finally {
    await Promise.all([...sides.values()].map((side) => side.close()));
  }
}

async function openSide(setup: Setup, load: SteadyLoad, entrant: Entrant, opened: readonly Side[]): Promise<Side> {
  const { contender, players } = entrant;
  setup.say(`${load.scenario}: ${entrant.key} gets its ${players} players`);
  const { tickHz } = load;
  const payloadBytes = typeof load.payloadBytes === "number" ? load.payloadBytes : await load.payloadBytes(opened);
  const side = await Side.open(setup, { contender, payloadBytes, tickHz, players });
  try {
    await side.prepare(players);
    await side.join(players, joinsPerSecond);
    await load.start(side, entrant);
    await pause(setup.effort.warmUpMs);
    await load.stop(side, entrant);
    return side;
  } catch (error) {
    await side.close();
    throw error;
  }
}

async function oneWindow(setup: Setup, load: SteadyLoad, entrant: Entrant, side: Side) {
  const { effort, cores, profileDir } = setup;
  await load.start(side, entrant);
  await pause(effort.settleMs);
  if (profileDir !== undefined) await side.startProfile();
  await load.onWindow?.(side, entrant, "start");
  const measured = await measure(side, cores, async () => {
    const before = await side.loadCounts();
    const startMs = performance.now();
    await pause(effort.windowMs);
    const after = await side.loadCounts();
    const seconds = (performance.now() - startMs) / 1_000;
    const done = after.received - before.received;
    const offered = entrant.perSecond * seconds;
    const operations = load.costOf === "player-second" ? entrant.players * seconds : done;
    return { operations, done, offered };
  });
  await load.onWindow?.(side, entrant, "end");
  if (profileDir !== undefined) {
    await side.stopProfile(join(profileDir, `${load.scenario}-${entrant.key}.cpuprofile`));
  }
  const note = await load.stop(side, entrant);
  await pause(200);
  return { measured, note };
}

function append(lists: Map<string, number[]> | undefined, name: string, value: number): void {
  const list = lists?.get(name);
  if (list === undefined) lists?.set(name, [value]);
  else list.push(value);
}
