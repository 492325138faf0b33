import { type Outcome, outcomeOf } from "../row.ts";
import type { Side, WorldCounts } from "../side.ts";
import type { Entrant, SteadyLoad, SteadyRun } from "../steady.ts";
import { TickTimes } from "../ticks.ts";

/** Moves, and frames, a second of each player. */
export const worldHz = 20;

/** Everybody walks, 20 steps a second; and what a server's world shows meanwhile. */
export class WorldLoad implements Pick<SteadyLoad, "tickHz" | "start" | "stop" | "onWindow"> {
  readonly tickHz = worldHz;
  readonly #areaSide: (players: number) => number;
  readonly #atStart = new Map<Entrant, WorldCounts>();
  readonly #ticks = new Map<string, TickTimes>();
  readonly #notes = new Map<Entrant, Record<string, number>>();

  /** @param areaSide side of the square in which so many players walk */
  constructor(areaSide: (players: number) => number) {
    this.#areaSide = areaSide;
  }

  async start(side: Side, { players }: Entrant): Promise<void> {
    await side.startMoves(players * worldHz, this.#areaSide(players));
    await side.setWork({ messages: 1, payloadBytes: side.options.payloadBytes });
  }

  async stop(side: Side, entrant: Entrant): Promise<Readonly<Record<string, number>>> {
    await side.setWork(undefined);
    await side.stopMoves();
    return this.#notes.get(entrant) ?? {};
  }

  async onWindow(side: Side, entrant: Entrant, edge: "start" | "end"): Promise<void> {
    const now = await side.world();
    const before = this.#atStart.get(entrant);
    if (edge === "start" || before === undefined) return void this.#atStart.set(entrant, now);
    const ticks = this.#ticks.get(entrant.key) ?? new TickTimes();
    ticks.add(before.ticks, now.ticks);
    this.#ticks.set(entrant.key, ticks);
    const frames = now.frames - before.frames;
    const { seen } = await side.loadCounts();
    this.#notes.set(entrant, {
      ...(frames > 0 && {
        frameBytes: (now.bytes - before.bytes) / frames,
        updatesAFrame: ((now.updates ?? 0) - (before.updates ?? 0)) / frames,
        held: now.held - before.held,
      }),
      ...(seen !== null && { seen }),
      tickP99Ms: ticks.quantileMs(0.99),
    });
  }

  /** Tick times, of all windows together: as they are, with the reasons why they would say nothing. */
  tickOutcomes(runs: ReadonlyMap<string, SteadyRun>): Map<string, Outcome> {
    return new Map(
      [...runs].map(([key, { windows }]) => {
        const { void: fault } = outcomeOf(windows);
        const times = this.#ticks.get(key);
        const detail = { ticks: times?.count ?? 0, p50Ms: times?.quantileMs(0.5) ?? 0 };
        return [key, { values: [times?.quantileMs(0.99) ?? Number.NaN], void: fault, detail }];
      }),
    );
  }
}

/** What the runs come to, a cost each. */
export function outcomesOf(runs: ReadonlyMap<string, SteadyRun>): Map<string, Outcome> {
  return new Map([...runs].map(([key, { windows, detail }]) => [key, outcomeOf(windows, detail)]));
}

/** The same windows with the cost of an entity's update; sides without any are left out. */
export function updateOutcomesOf(runs: ReadonlyMap<string, SteadyRun>): Map<string, Outcome> {
  return new Map(
    [...runs].flatMap(([key, { windows, detail }]) => {
      const told = windows.flatMap((window) => {
        const { updateUs } = window;
        return updateUs === undefined ? [] : { ...window, costUs: updateUs };
      });
      return told.length === 0 ? [] : [[key, outcomeOf(told, detail)] as const];
    }),
  );
}
