import type { Border } from "./border.ts";
import { entityOrigins } from "./border-interest.ts";
import type { BorderSides } from "./border-sides.ts";
import { EntityStore } from "./entity-store.ts";
import type { KindTable } from "../../protocol/entities/kind-table.ts";
import type { Fragment, FragmentSettings, Layout } from "./layout.ts";
import { Membership, type MembershipEvent } from "./membership.ts";
import { type LevelChange, settingsAt, stepLevels } from "./thresholds.ts";
import { isFrameDue, type ViewRules } from "./view-rules.ts";
import { copySlack, type FrameTarget } from "./view-writer.ts";
import { Views } from "./views.ts";
import type { Work } from "./work.ts";

export interface WorldOptions {
  readonly layout: Layout;
  readonly kinds: KindTable;
  /** Ticks a second. */
  readonly tickHz: number;
  readonly maxPlayers: number;
  /** Players' bodies included. */
  readonly maxEntities: number;
  /** Most ghosts beside them; none unless given. */
  readonly maxGhosts?: number;
  /** Whether a player stands still, for now: then it stays in its fragment. Nobody does unless given. */
  readonly isHeld?: (player: number) => boolean;
}

/** What a step changed, in the order in which it happened. */
export interface Step {
  /** The tick that ended. */
  readonly tick: number;
  readonly moves: readonly MembershipEvent[];
  readonly levels: readonly LevelChange[];
}

/** A fragment as it is now. */
export interface FragmentState {
  readonly name: string;
  readonly players: number;
  /** 0, or how many of its thresholds apply. */
  readonly level: number;
  readonly settings: FragmentSettings;
}

/** A player that is about to be in the world. */
export interface Coming {
  /** By which places are promised to it; none to one without. */
  readonly id?: string;
  /** Also where the fragment is full, or not carried. */
  readonly mustFit?: boolean;
  /** Slot of its ghost, if there is one: that becomes its body, and stays the entity that it is. [GHOST-8] */
  readonly ghost?: number;
}

const nobody = -1;

/**
 * The world of a cluster: its fragments, the entities and players in them, and what each player is shown. Players are indices,
 * entities are slots; both are used again once they are free.
 *
 * A tick: change what is to change; {@link step}; then, before anything changes again, {@link writeFrame} for each player
 * whose frame {@link isFrameDue}.
 */
export class World {
  /** State of the entities. Bodies of players are removed by {@link removePlayer} only. */
  readonly entities: EntityStore;
  readonly #tickHz: number;
  readonly #membership: Membership;
  readonly #views: Views;
  /** By player: slot of its body, or -1. */
  readonly #bodies: Int32Array;
  /** By slot: the player whose body it is, or -1. */
  readonly #owners: Int32Array;
  /** By slot: fragment of an entity that is no body. */
  readonly #fragmentOf: Int32Array;
  readonly #freePlayers: number[];
  readonly #maxEntities: number;
  /** By slot: whose entity it is, of {@link entityOrigins}. */
  readonly #origins: Uint8Array;
  readonly #maxGhosts: number;
  #ghostCount = 0;
  #layout: Layout;
  /** By fragment, as last told; another layout may have less. */
  #levels: Uint8Array;
  #tick = 0;

  constructor(options: WorldOptions) {
    const { layout, kinds, maxEntities, maxPlayers, tickHz, maxGhosts = 0, isHeld } = options;
    const capacity = maxEntities + maxGhosts;
    this.entities = new EntityStore(capacity, kinds);
    this.#tickHz = tickHz;
    this.#membership = new Membership(layout, maxPlayers, isHeld);
    this.#views = new Views(this.entities, layout, tickHz, maxPlayers);
    this.#bodies = new Int32Array(maxPlayers).fill(nobody);
    this.#owners = new Int32Array(capacity).fill(nobody);
    this.#fragmentOf = new Int32Array(capacity);
    this.#maxEntities = maxEntities;
    this.#maxGhosts = maxGhosts;
    this.#origins = new Uint8Array(capacity);
    this.#freePlayers = Array.from({ length: maxPlayers }, (_, index) => maxPlayers - 1 - index);
    this.#layout = layout;
    this.#levels = new Uint8Array(layout.fragments.length);
  }

  get layout(): Layout {
    return this.#layout;
  }

  /** Work done since the start for what neighbours are told. */
  get borderWork(): Readonly<Work> {
    return this.#views.borderWork;
  }

  /** Work done since the start. */
  get work(): Readonly<Work> {
    return this.#views.work;
  }

  /**
   * Adds a player with its body. Returns its index, or -1 when the world or the fragment there is full.
   *
   * @param coming who it is, and how it comes
   */
  addPlayer(kind: number, x: number, y: number, z: number, coming: Coming = {}): number {
    const { id = "", mustFit = false, ghost = nobody } = coming;
    const player = this.#freePlayers.at(-1);
    if (player === undefined || !this.#hasSlot) return nobody;
    const fragment = this.#membership.add(player, id, x, y, z, mustFit);
    if (fragment === nobody) return nobody;
    this.#freePlayers.pop();
    const isKnown = ghost !== nobody && this.isGhost(ghost) && this.entities.kindId[ghost] === kind;
    const body = isKnown ? ghost : this.entities.spawn(kind, x, y, z, this.#settings(fragment).precision);
    if (isKnown) {
      this.#setOrigin(body, entityOrigins.own);
      this.entities.move(body, x, y, z);
    }
    this.#bodies[player] = body;
    this.#owners[body] = player;
    this.#views.clear(player);
    return player;
  }

  removePlayer(player: number): void {
    const body = this.bodyOf(player);
    if (body === nobody) return;
    this.#membership.remove(player);
    this.entities.remove(body);
    this.#owners[body] = nobody;
    this.#bodies[player] = nobody;
    this.#views.clear(player);
    this.#freePlayers.push(player);
  }

  /**
   * Takes a player out and leaves its body where it is, as a ghost: the player goes on elsewhere.
   *
   * @returns slot of the ghost; -1 when there was no room for one more: then it is gone
   */
  departPlayer(player: number): number {
    const body = this.bodyOf(player);
    if (body === nobody || this.#ghostCount === this.#maxGhosts) {
      this.removePlayer(player);
      return nobody;
    }
    this.#membership.remove(player);
    this.#owners[body] = nobody;
    this.#fragmentOf[body] = nobody;
    this.#setOrigin(body, entityOrigins.departed);
    this.#bodies[player] = nobody;
    this.#views.clear(player);
    this.#freePlayers.push(player);
    return body;
  }

  /** Adds a copy of another cluster's entity. Returns its slot, or -1 when there are as many as may be. */
  spawnGhost(kind: number, x: number, y: number, z: number): number {
    if (this.#ghostCount === this.#maxGhosts) return nobody;
    const fragment = this.#layout.locator.locate(x, y, z);
    const slot = this.entities.spawn(kind, x, y, z, this.#settings(fragment).precision);
    this.#fragmentOf[slot] = fragment;
    this.#setOrigin(slot, entityOrigins.ghost);
    return slot;
  }

  removeGhost(slot: number): void {
    if (!this.isGhost(slot)) return;
    this.#setOrigin(slot, entityOrigins.own);
    this.entities.remove(slot);
  }

  /** A body that was left behind is told of by another cluster from now on. */
  adoptGhost(slot: number): void {
    if (this.isGhost(slot)) this.#setOrigin(slot, entityOrigins.ghost);
  }

  /** Slot of this cluster's own entity with a number; `undefined` when it is gone, or there is a ghost in its place. */
  find(number: number): number | undefined {
    const slot = this.entities.find(number);
    return slot === undefined || this.isGhost(slot) ? undefined : slot;
  }

  isGhost(slot: number): boolean {
    return this.#origins[slot] !== entityOrigins.own;
  }

  /** Whether one more ghost may be shown. */
  get hasGhostRoom(): boolean {
    return this.#ghostCount < this.#maxGhosts;
  }

  get ghostCount(): number {
    return this.#ghostCount;
  }

  /** The player whose body an entity is; -1 for none. */
  ownerOf(slot: number): number {
    return this.#owners[slot] ?? nobody;
  }

  /** What a neighbour is told, from now on; see {@link Border}. */
  createBorder(sides: BorderSides): Border {
    return this.#views.createBorder(this.#origins, this.#layout.rules, sides);
  }

  /** Slot of a player's entity; -1 for a player who is not there. */
  bodyOf(player: number): number {
    return this.#bodies[player] ?? nobody;
  }

  /** Adds an entity that is no player's. Returns its slot, or -1 when the world is full. */
  spawn(kind: number, x: number, y: number, z: number): number {
    if (!this.#hasSlot) return nobody;
    const fragment = this.#layout.locator.locate(x, y, z);
    const slot = this.entities.spawn(kind, x, y, z, this.#settings(fragment).precision);
    if (slot !== nobody) this.#fragmentOf[slot] = fragment;
    return slot;
  }

  /**
   * Puts a player elsewhere and into the fragment there at once, without margin and dwell.
   *
   * @returns false when that fragment is full: then the player has not moved
   */
  teleport(player: number, x: number, y: number, z: number): boolean {
    if (this.#membership.place(player, x, y, z) === nobody) return false;
    this.entities.move(this.bodyOf(player), x, y, z);
    return true;
  }

  /** Makes a player's next frames tell everything anew, to a client whose view is empty. */
  resetView(player: number): void {
    this.#views.clear(player);
  }

  /**
   * Ends the tick: swaps players between fragments, steps the thresholds, and fixes what the frames of this tick show.
   *
   * @param tick its number, greater than that of the tick before; by default the next one
   */
  step(tick?: number): Step {
    const { entities } = this;
    const { live, x, y, z } = entities;
    for (let index = 0; index < entities.liveCount; index++) {
      const slot = live[index] ?? 0;
      const player = this.#owners[slot] ?? nobody;
      if (player === nobody) this.#follow(slot);
      else this.#membership.update(player, x[slot] ?? 0, y[slot] ?? 0, z[slot] ?? 0);
    }
    const { fragments, rules } = this.#layout;
    const levels = stepLevels(fragments, this.#levels, this.#membership.population, rules.thresholdMargin);
    const precisions = fragments.map((fragment, index) => settingsAt(fragment, this.#levels[index] ?? 0).precision);
    for (let index = 0; index < entities.liveCount; index++) {
      const slot = live[index] ?? 0;
      entities.setStep(slot, precisions[this.#fragmentAt(slot)] ?? 1);
    }
    this.#tick = entities.commit(tick);
    this.#views.begin(this.#tick);
    return { tick: this.#tick, moves: this.#membership.takeEvents(), levels };
  }

  /** Whether the tick that ended is one of those at which a player gets a frame. */
  isFrameDue(player: number): boolean {
    return isFrameDue(this.#tick, player, this.#rulesFor(player).updateHz, this.#tickHz);
  }

  /** Most bytes that {@link writeFrame} may touch for a player, from the offset on. */
  frameRoom(player: number): number {
    return this.#rulesFor(player).frameBytes + copySlack;
  }

  /**
   * Writes the body of a player's ENTITIES frame. It counts as told: the caller must send it, in order.
   *
   * @param evenIfEmpty whether it is to be written also when there is nothing to tell
   * @returns the offset behind the frame; `offset` itself when none was written
   */
  writeFrame(player: number, target: FrameTarget, offset: number, evenIfEmpty = false): number {
    const body = this.bodyOf(player);
    if (body === nobody) return offset;
    return this.#views.write(player, body, this.#rulesFor(player), target, offset, evenIfEmpty);
  }

  /** Slots of the entities that a player has been told of. */
  visibleTo(player: number): number[] {
    return this.#views.visibleTo(player);
  }

  /** What was changed between fragments since the last {@link step} or call of this, oldest first. */
  takeMoves(): readonly MembershipEvent[] {
    return this.#membership.takeEvents();
  }

  /** How many players more fit into the world, wherever. */
  get freePlaces(): number {
    return Math.min(this.#freePlayers.length, this.#maxEntities - this.#ownCount);
  }

  /** Whether one more player fits into the world, wherever. */
  get hasRoom(): boolean {
    return this.#freePlayers.length > 0 && this.#hasSlot;
  }

  /** How many players more may be in a fragment, by its name, with those to whom a place is promised. */
  placesIn(name: string): number {
    return this.#membership.placesIn(this.#layout.fragments.findIndex((fragment) => fragment.name === name));
  }

  /**
   * Keeps places of fragments for players who are about to come, if there are so many. A place that is one's already is not needed twice.
   *
   * @param wanted the fragment's name by the player's id
   */
  promise(wanted: ReadonlyMap<string, string>): boolean {
    const { fragments } = this.#layout;
    const hasAll = [...Map.groupBy(wanted, ([, name]) => name)].every(([name, players]) =>
      this.#membership.hasPlacesFor(
        players.map(([id]) => id),
        fragments.findIndex((fragment) => fragment.name === name),
      ),
    );
    if (hasAll) for (const [id, name] of wanted) this.#membership.promise(id, name);
    return hasAll;
  }

  /** Takes back promises, each as it was given. */
  unpromise(wanted: ReadonlyMap<string, string>): void {
    for (const [id, name] of wanted) this.#membership.unpromise(id, name);
  }

  /** Whether a player who is not in the world yet may come into the fragment of a position. */
  isOpenTo(id: string, x: number, y: number, z: number): boolean {
    return this.#membership.hasPlacesFor([id], this.#layout.locator.locate(x, y, z));
  }

  /** Whether a player may stand at a position: not in a fragment that is closed to it, save for the margin. */
  admits(player: number, x: number, y: number, z: number): boolean {
    const { locator, rules } = this.#layout;
    const current = this.#membership.fragmentOf[player] ?? nobody;
    if (current === nobody || locator.isWithin(current, x, y, z, rules.swapMargin)) return true;
    const target = locator.locate(x, y, z);
    return target === current || this.#membership.isOpenTo(player, target);
  }

  /**
   * Whether a position is one that another cluster carries, and that is farther out of the player's fragment than the margin:
   * within what a player may walk on in a handover, or too far. One in a fragment that is carried here no more is beyond wherever it is.
   */
  isBeyond(player: number, x: number, y: number, z: number): "no" | "within-overrun" | "too-far" {
    const { locator, rules, fragments } = this.#layout;
    const current = this.#membership.fragmentOf[player] ?? nobody;
    const target = locator.locate(x, y, z);
    if (current === nobody || fragments[target]?.carried !== false) return "no";
    if (fragments[current]?.carried === false) return "within-overrun";
    if (locator.isWithin(current, x, y, z, rules.swapMargin)) return "no";
    const most = rules.swapMargin + rules.handoverOverrun;
    return locator.isWithin(current, x, y, z, most) ? "within-overrun" : "too-far";
  }

  /** What holds in the fragment that a player is in: the same object until something else does. */
  settingsOf(player: number): FragmentSettings | undefined {
    const fragment = this.#membership.fragmentOf[player] ?? nobody;
    return fragment === nobody ? undefined : this.#settings(fragment);
  }

  /** Name of the fragment that a player is in. */
  fragmentOf(player: number): string | undefined {
    return this.#membership.nameOf(player);
  }

  /** Players in a fragment, by its name. */
  playersIn(name: string): number[] {
    const index = this.#layout.fragments.findIndex((fragment) => fragment.name === name);
    return index === -1 ? [] : this.#membership.playersIn(index);
  }

  /** All fragments, in the order of the layout. */
  fragments(): FragmentState[] {
    return this.#layout.fragments.map((fragment, index) => ({
      name: fragment.name,
      players: this.#membership.population[index] ?? 0,
      level: Math.min(this.#levels[index] ?? 0, fragment.levels.length - 1),
      settings: this.#settings(index),
    }));
  }

  /** World units a second that a player may move; 0 means unchecked. */
  speedLimitOf(player: number): number {
    return this.#fragment(this.#membership.fragmentOf[player] ?? 0)?.speedLimit ?? 0;
  }

  /**
   * Takes over another layout while the world runs. Players whose fragment is no longer theirs are swapped; the next
   * {@link step} tells. Levels of fragments that keep their name go on from where they are.
   */
  changeLayout(layout: Layout): void {
    const levels = new Map(this.#layout.fragments.map(({ name }, index) => [name, this.#levels[index] ?? 0]));
    this.#membership.changeLayout(layout, (player) => {
      const body = this.bodyOf(player);
      return { x: this.entities.x[body] ?? 0, y: this.entities.y[body] ?? 0, z: this.entities.z[body] ?? 0 };
    });
    this.#layout = layout;
    this.#levels = Uint8Array.from(layout.fragments, ({ name }) => levels.get(name) ?? 0);
    this.#fragmentOf.fill(nobody);
    this.#views.changeLayout(layout);
  }

  /** Whether there is room for one more entity of this cluster; ghosts have room of their own. */
  get #hasSlot(): boolean {
    return this.#ownCount < this.#maxEntities;
  }

  get #ownCount(): number {
    return this.entities.liveCount - this.#ghostCount;
  }

  #setOrigin(slot: number, origin: number): void {
    this.#ghostCount += Number(origin !== entityOrigins.own) - Number(this.isGhost(slot));
    this.#origins[slot] = origin;
  }

  /** Keeps the fragment of an entity that is no body. */
  #follow(slot: number): void {
    const { x, y, z } = this.entities;
    const { locator, rules } = this.#layout;
    const current = this.#fragmentOf[slot] ?? nobody;
    const atX = x[slot] ?? 0;
    const atY = y[slot] ?? 0;
    const atZ = z[slot] ?? 0;
    if (current !== nobody && locator.isWithin(current, atX, atY, atZ, rules.swapMargin)) return;
    this.#fragmentOf[slot] = locator.locate(atX, atY, atZ);
  }

  #fragmentAt(slot: number): number {
    const player = this.#owners[slot] ?? nobody;
    return (player === nobody ? this.#fragmentOf[slot] : this.#membership.fragmentOf[player]) ?? 0;
  }

  #fragment(index: number): Fragment | undefined {
    return this.#layout.fragments[index];
  }

  #settings(index: number): FragmentSettings {
    const fragment = this.#fragment(index);
    if (fragment === undefined) throw new RangeError(`there is no fragment ${index}`);
    return settingsAt(fragment, this.#levels[index] ?? 0);
  }

  #rulesFor(player: number): ViewRules {
    const fragment = this.#membership.fragmentOf[player] ?? nobody;
    if (fragment === nobody) throw new RangeError(`player ${player} is not in the world`);
    return this.#views.rules(fragment, this.#levels[fragment] ?? 0);
  }
}
