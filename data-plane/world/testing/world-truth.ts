import type { Cluster } from "../../plugin/server-plugin.ts";
import type { Entity } from "../../plugin/entities.ts";
import type { ViewClient } from "./view-client.ts";

interface State {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly fields: string;
}

/** What the world was at each tick, and how clients' views compare with it. */
export class WorldTruth {
  readonly #states = new Map<number, Map<number, State>>();
  readonly #fieldNames: Readonly<Record<string, readonly string[]>>;
  readonly faults: string[] = [];
  /** Comparisons of an entity in a view with what it was. */
  compared = 0;
  longestWait = 0;
  lastTick = 0;

  /** @param fieldNames fields of each kind */
  constructor(fieldNames: Readonly<Record<string, readonly string[]>>) {
    this.#fieldNames = fieldNames;
  }

  /** Notes what the world is at a tick: the last thing that a plugin does in its `onTick`. */
  note(tick: number, entities: Iterable<Entity>): void {
    const states = new Map<number, State>();
    for (const entity of entities) {
      const { x, y, z } = entity.position;
      const fields = this.#fieldsOf(entity.kind, (field) => entity.get(field));
      states.set(entity.number, { x, y, z, fields });
    }
    this.#states.set(tick, states);
    this.lastTick = tick;
  }

  /**
   * Compares a view, right after a frame of a tick, with the world at that tick.
   *
   * @param hysteresis of the world
   * @param precision the largest of the world
   */
  compare(client: ViewClient, tick: number, hysteresis: number, precision: number): void {
    const truth = this.#states.get(tick);
    const range = client.fragmentAt(tick)?.viewRange;
    const self = this.#selfOf(client, tick);
    if (truth === undefined || range === undefined || self === undefined) {
      return this.#fault(client, tick, "no truth, fragment or body at that tick");
    }
    const { view } = client;
    for (const [number, state] of truth) {
      if (state === self) continue;
      const distance = Math.hypot(state.x - self.x, state.z - self.z);
      const isSeen = view?.find(number) !== undefined;
      if (!isSeen && distance <= range) this.#fault(client, tick, `does not see ${number} at ${distance}`);
      if (isSeen && distance > range * (1 + hysteresis))
        this.#fault(client, tick, `still sees ${number} at ${distance}`);
    }
    for (const seen of view?.entities() ?? []) {
      const told = this.#states.get(seen.tick)?.get(seen.number);
      const now = truth.get(seen.number);
      if (told === undefined || now === undefined) {
        this.#fault(client, tick, `sees ${seen.number}, which is not there`);
        continue;
      }
      this.compared += 1;
      const index = (field: string): number => seen.kind.fields.findIndex(({ name }) => name === field);
      const fields = this.#fieldsOf(seen.kind.name, (field) => seen.values[index(field)]);
      const off = Math.max(Math.abs(seen.x - told.x), Math.abs(seen.y - told.y), Math.abs(seen.z - told.z));
      if (off > precision * 0.5001) this.#fault(client, tick, `sees ${seen.number} off by ${off}`);
      if (fields !== told.fields) this.#fault(client, tick, `sees ${seen.number} as ${fields}, it was ${told.fields}`);
      if (fields !== now.fields || now.x !== told.x || now.z !== told.z) {
        this.longestWait = Math.max(this.longestWait, tick - this.#changedAfter(seen.number, seen.tick, tick, told));
      }
    }
  }

  /** The first tick after `from` at which an entity was not what it was then. */
  #changedAfter(number: number, from: number, to: number, then: State): number {
    for (let tick = from + 1; tick < to; tick++) {
      const state = this.#states.get(tick)?.get(number);
      if (state !== undefined && (state.x !== then.x || state.z !== then.z || state.fields !== then.fields))
        return tick;
    }
    return to;
  }

  #selfOf(client: ViewClient, tick: number): State | undefined {
    const wanted = `number=${client.welcome?.playerNumber} `;
    for (const state of this.#states.get(tick)?.values() ?? []) if (state.fields.startsWith(wanted)) return state;
    return undefined;
  }

  #fieldsOf(kind: string, read: (field: string) => number | Uint8Array | undefined): string {
    return (this.#fieldNames[kind] ?? []).map((field) => `${field}=${String(read(field))}`).join(" ") + " ";
  }

  #fault(client: ViewClient, tick: number, what: string): void {
    if (this.faults.length < 20) this.faults.push(`tick ${tick}: player ${client.welcome?.playerNumber} ${what}`);
  }
}

/** Everything that there is: bodies of players, and what a plugin has put into the world. */
export function* everything(cluster: Cluster, own: Iterable<Entity>): Iterable<Entity> {
  for (const { entity } of cluster.players) if (entity !== undefined) yield entity;
  for (const entity of own) if (entity.alive) yield entity;
}
