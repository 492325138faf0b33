import type { EntityKind, SeenEntity } from "../../protocol/index.ts";
import { type Pose, Track } from "./track.ts";

/** An entity that the cluster shows: another player's, or one of the game's own. */
export class WorldEntity {
  /** Names it within its cluster, for as long as it lives. */
  readonly number: number;
  /** Name of its kind; `player` for the entity of a player. */
  readonly kind: string;
  readonly #seen: SeenEntity;
  readonly #track: Track;
  readonly #heading: number;
  readonly #shownTick: () => number;
  readonly #mostTicks: () => number;

  /** @param mostTicks within which it is told again while it is on the way */
  constructor(seen: SeenEntity, shownTick: () => number, mostTicks: () => number) {
    this.number = seen.number;
    this.kind = seen.kind.name;
    this.#seen = seen;
    this.#heading = headingOf(seen.kind);
    this.#shownTick = shownTick;
    this.#mostTicks = mostTicks;
    this.#track = new Track(seen.tick, this.told);
  }

  /** The tick of which {@link told} and the fields are the state. */
  get tick(): number {
    return this.#seen.tick;
  }

  /** Where it was when the cluster last told: ahead of what is {@link shown}. */
  get told(): Pose {
    const { x, y, z, values } = this.#seen;
    const heading = values[this.#heading];
    return { x, y, z, heading: typeof heading === "number" ? heading : 0 };
  }

  /** Where to draw it now: a little behind, and smooth; farther behind for one that is told more rarely, as those far off. */
  get shown(): Pose {
    return this.#track.at(this.#shownTick());
  }

  /** The player's number, if it is the entity of one; 0 for a player who is seen over a border, in the game at another cluster. [KINDS-3] */
  get player(): number | undefined {
    const number = this.kind === "player" ? this.get("number") : undefined;
    return typeof number === "number" ? number : undefined;
  }

  /** A field of its state: a number, bytes, or `undefined` for one that its kind does not have. */
  get(field: string): number | Uint8Array | undefined {
    return this.#seen.values[this.#seen.kind.fields.findIndex(({ name }) => name === field)];
  }

  /** Its state has changed: goes there from where it is shown now. */
  advance(): void {
    this.#track.push(this.#seen.tick, this.told, this.#shownTick(), this.#mostTicks());
  }
}

/** Index of the field that says where it looks: the first angle; -1 for none. */
function headingOf({ fields }: EntityKind): number {
  return fields.findIndex(({ type }) => type === "angle");
}
