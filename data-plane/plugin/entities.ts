/** What a field of an entity's state holds. */
export type FieldKind =
  | "u8"
  | "u16"
  | "u32"
  | "i16"
  /** Finite. */
  | "f32"
  /** 65,536 to a full turn; clients turn it smoothly, the short way round. */
  | "angle"
  /** Up to 32 bits; low ones are cheap. */
  | "flags"
  /** At most so many bytes, 1 to 255. */
  | { readonly bytes: number };

/** The fields of a kind of entity, by name, in the order of the wire. At most 24, with those that players have anyway. */
export type EntityFields = Readonly<Record<string, FieldKind>>;

/** A kind's state, or a part of it. */
export type FieldValues = Readonly<Record<string, number | Uint8Array>>;

/** World units. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

/** Something in the world that players are shown: a player's body, or what a plugin has put there. */
export interface Entity {
  /** Names it within this cluster, for as long as it lives. */
  readonly number: number;
  /** Name of its kind; `player` for a player's. */
  readonly kind: string;
  /** False once it is gone, or its player has gone on to another cluster: then nothing can be done with it here. */
  readonly alive: boolean;
  readonly position: Point;
  /**
   * Puts it somewhere. A player's entity follows its player: that one is moved by `Player.teleport`.
   *
   * @throws RangeError for a coordinate that is not finite as an `f32`, or a player's entity
   */
  moveTo(to: Point): void;
  /** @throws RangeError for a field that its kind does not have, or a value that the field cannot hold */
  set(values: FieldValues): void;
  /** A field's value; `undefined` for one that its kind does not have. */
  get(field: string): number | Uint8Array | undefined;
  /** How much it matters when a player's byte budget is short: 1 is ordinary, 2 is told twice as often. Above 0, at most 1,000,000. */
  setPriority(priority: number): void;
  /** Takes it out of the world; a player's entity stays for as long as its player. */
  despawn(): void;
}

/** A fragment as it is now. */
export interface FragmentView {
  readonly name: string;
  readonly players: number;
  /** 0, or how many of its thresholds apply. */
  readonly level: number;
  /** Frames a second, at most the cluster's ticks. */
  readonly updateHz: number;
  readonly viewRange: number;
}

/** A fragment's level has changed: more or fewer of its thresholds apply than before. */
export interface ThresholdChange {
  readonly fragment: string;
  readonly from: number;
  readonly to: number;
  readonly players: number;
}
