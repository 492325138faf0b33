import { ByteReader } from "../../../protocol/bytes.ts";
import { decodeEntities } from "../../../protocol/messages/entities.ts";
import type { SeenEntity } from "../../../protocol/entities/view.ts";
import { EntityView } from "../../../protocol/entities/view.ts";
import { FrameTarget } from "../view-writer.ts";
import type { World } from "../world.ts";

/** What an entity is at a tick, as a client should know it. */
interface Truth {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly kind: number;
  readonly values: readonly (number | Uint8Array)[];
}

/** What went wrong, for a test to compare with nothing. */
export interface Audit {
  /** Longest time that a change has waited, in ticks. */
  longestWait: number;
  frames: number;
  largestFrame: number;
}

/** Clients of a world, each fed with its frames, and compared with the world after every tick. */
export class ViewAudit {
  readonly result: Audit = { longestWait: 0, frames: 0, largestFrame: 0 };
  readonly #world: World;
  readonly #views = new Map<number, EntityView>();
  /** By player and entity: the tick since which the client has an old state. */
  readonly #staleSince = new Map<number, Map<number, number>>();
  /** By tick and entity. */
  readonly #truths = new Map<number, Map<number, Truth>>();
  readonly #target: FrameTarget;

  constructor(world: World) {
    this.#world = world;
    this.#target = new FrameTarget(new Uint8Array(70_000));
  }

  /** A client with an empty view, for a player that is new or starts afresh. */
  connect(player: number): void {
    this.#views.set(player, new EntityView(this.#world.entities.kinds));
    this.#staleSince.set(player, new Map());
  }

  disconnect(player: number): void {
    this.#views.delete(player);
  }

  players(): number[] {
    return [...this.#views.keys()];
  }

  view(player: number): EntityView {
    const view = this.#views.get(player);
    if (view === undefined) throw new Error(`player ${player} has no client`);
    return view;
  }

  /** After a step: writes and reads all frames that are due, then compares. @throws Error that says what differs */
  run(tick: number): void {
    this.#noteTruth(tick);
    for (const [player, view] of this.#views) {
      if (this.#world.isFrameDue(player)) this.#pass(player, view);
      this.#compare(player, view, tick);
    }
  }

  #pass(player: number, view: EntityView): void {
    const { bytes } = this.#target;
    const offset = this.result.frames % 7;
    bytes.fill(0xee);
    const end = this.#world.writeFrame(player, this.#target, offset);
    if (end === offset) return;
    view.apply(decodeEntities(new ByteReader(bytes.subarray(offset, end))));
    this.result.frames++;
    this.result.largestFrame = Math.max(this.result.largestFrame, end - offset);
  }

  #compare(player: number, view: EntityView, tick: number): void {
    const { number } = this.#world.entities;
    if (this.#world.isFrameDue(player)) {
      const shown = this.#world.visibleTo(player).map((slot) => number[slot] ?? 0);
      const known = Array.from(view.entities(), (entity) => entity.number);
      const sorted = (numbers: number[]): string => numbers.sort((a, b) => a - b).join();
      if (sorted(shown) !== sorted(known)) throw new Error(`tick ${tick}: player ${player} knows other entities`);
    }
    const stale = this.#staleSince.get(player) ?? new Map<number, number>();
    for (const entity of view.entities()) {
      if (!isSame(entity, this.#truths.get(entity.tick)?.get(entity.number))) {
        throw new Error(`tick ${tick}: player ${player} has another state of entity ${entity.number}`);
      }
      const now = this.#truths.get(tick)?.get(entity.number);
      if (now === undefined || isSame(entity, now)) {
        stale.delete(entity.number);
      } else {
        const since = stale.get(entity.number) ?? tick;
        stale.set(entity.number, since);
        this.result.longestWait = Math.max(this.result.longestWait, tick - since);
      }
    }
    for (const number of stale.keys()) if (view.find(number) === undefined) stale.delete(number);
  }

  #noteTruth(tick: number): void {
    const { entities } = this.#world;
    const truths = new Map<number, Truth>();
    const before = this.#truths.get(tick - 1);
    for (const slot of entities.live.subarray(0, entities.liveCount)) {
      const number = entities.number[slot] ?? 0;
      const step = entities.step[slot] ?? 0;
      const steps = (value: number | undefined): number => Math.floor((value ?? 0) / step + 0.5) * step;
      const { fields, id } = entities.kindOf(slot);
      const values = fields.map(({ type }, field) =>
        type === "bytes" ? entities.getBytes(slot, field) : entities.get(slot, field),
      );
      const truth = {
        x: steps(entities.x[slot]),
        y: steps(entities.y[slot]),
        z: steps(entities.z[slot]),
        kind: id,
        values,
      };
      const last = before?.get(number);
      truths.set(number, last !== undefined && isEqual(truth, last) ? last : truth);
    }
    this.#truths.set(tick, truths);
  }
}

function isSame(entity: SeenEntity, truth: Truth | undefined): boolean {
  return truth !== undefined && entity.kind.id === truth.kind && isEqual(entity, truth);
}

function isEqual(a: Omit<Truth, "kind">, b: Omit<Truth, "kind">): boolean {
  // A difference of 0 and −0 is none.
  if (a.x !== b.x || a.y !== b.y || a.z !== b.z || a.values.length !== b.values.length) return false;
  return a.values.every((value, index) => {
    const other = b.values[index];
    if (typeof value === "number" || other === undefined || typeof other === "number") return value === other;
    return value.length === other.length && value.every((byte, at) => byte === other[at]);
  });
}
