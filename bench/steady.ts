import { join } from "node:path";
import type { ContenderName } from "./contenders/contender.ts";
import { type Outcome, outcomeOf } from "./row.ts";
import type { Setup } from "./setup.ts";
import { pause, Side } from "./side.ts";
import { significant, median } from "./statistics.ts";
import { type Measured, measure } from "./window.ts";

/** A load that goes on and on, and what it takes to measure it. */
export interface SteadyLoad {
  readonly scenario: string;
  readonly contenders: readonly ContenderName[];
  readonly players: number;
  /** Given, or taken from the sides that are up already. */
  readonly payloadBytes: number | ((opened: readonly Side[]) => Promise<number>);
  readonly tickHz: number;
  /** Messages that are to arrive at the players, in all, a second. */
  readonly perSecond: number;
  start(side: Side): Promise<void>;
  /** Ends the load; what it returns is kept, by name, for the row's details. */
  stop(side: Side): Promise<Readonly<Record<string, number>>>;
}

/** How fast the players join before it begins; it is not measured. */
const joinsPerSecond = 150;

/**
 * Measures contenders in turn, A B C A B C …, with all of them up and all players joined, but only one under load at a time:
 * what drifts on the machine drifts for all.
 */
export async function measureSteady(setup: Setup, load: SteadyLoad): Promise<Map<string, Outcome>> {
  const sides: Side[] = [];
  try {
    for (const contender of load.contenders) sides.push(await openSide(setup, load, contender, sides));
    const windows = new Map(sides.map((side) => [side, [] as Measured[]]));
    const notes = new Map(sides.map((side) => [side, new Map<string, number[]>()]));
    for (let round = 0; round < setup.effort.rounds; round++) {
      for (const side of sides) {
        setup.say(`${load.scenario}: round ${round + 1} of ${setup.effort.rounds}, ${side.options.contender}`);
        const { measured, note } = await oneWindow(setup, load, side);
        windows.get(side)?.push(measured);
        for (const [name, value] of Object.entries(note)) append(notes.get(side), name, value);
      }
    }
    return new Map(
      sides.map((side) => {
        const detail = [...(notes.get(side) ?? [])].map(([name, values]) => [name, significant(median(values))]);
        return [side.options.contender, outcomeOf(windows.get(side) ?? [], Object.fromEntries(detail))];
      }),
    );
  } finally {
    await Promise.all(sides.map((side) => side.close()));
  }
}

async function openSide(
  setup: Setup,
  load: SteadyLoad,
  contender: ContenderName,
  opened: readonly Side[],
): Promise<Side> {
  setup.say(`${load.scenario}: ${contender} gets its ${load.players} players`);
  const { tickHz, players } = load;
  const payloadBytes = typeof load.payloadBytes === "number" ? load.payloadBytes : await load.payloadBytes(opened);
  const side = await Side.open(setup, { contender, payloadBytes, tickHz, players });
  try {
    await side.prepare(load.players);
    await side.join(load.players, joinsPerSecond);
    await load.start(side);
    await pause(setup.effort.warmUpMs);
    await load.stop(side);
    return side;
  } catch (error) {
    await side.close();
    throw error;
  }
}

async function oneWindow(setup: Setup, load: SteadyLoad, side: Side) {
  const { effort, cores, profileDir } = setup;
  await load.start(side);
  await pause(effort.settleMs);
  if (profileDir !== undefined) await side.startProfile();
  const measured = await measure(side, cores, async () => {
    const before = await side.loadCounts();
    const startMs = performance.now();
    await pause(effort.windowMs);
    const after = await side.loadCounts();
    const seconds = (performance.now() - startMs) / 1_000;
    return { operations: after.received - before.received, offered: load.perSecond * seconds };
  });
  if (profileDir !== undefined) {
    await side.stopProfile(join(profileDir, `${load.scenario}-${side.options.contender}.cpuprofile`));
  }
  const note = await load.stop(side);
  await pause(200);
  return { measured, note };
}

function append(lists: Map<string, number[]> | undefined, name: string, value: number): void {
  const list = lists?.get(name);
  if (list === undefined) lists?.set(name, [value]);
  else list.push(value);
}
