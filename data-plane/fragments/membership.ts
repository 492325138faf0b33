import type { Layout } from "./layout.ts";
import { PromisedPlaces } from "./promised-places.ts";

/** A player entered or left a fragment. */
export interface MembershipEvent {
  readonly type: "leave" | "enter";
  /** The player's index, as given to {@link Membership}. */
  readonly player: number;
  /** Name of the fragment. */
  readonly fragment: string;
}

const nowhere = -1;

/**
 * Which player is in which fragment: always exactly one. Players are indices below the capacity.
 *
 * A player is swapped when it has been more than the margin outside of its fragment for the dwell time on end; or at once by
 * {@link place}. Every change is told once, in the order in which it happened: `leave`, then `enter`.
 */
export class Membership {
  /** By player: index of its fragment in the layout, or -1. Read only. */
  readonly fragmentOf: Int32Array;
  /** By fragment: how many players. Read only. */
  population: Int32Array;
  #layout: Layout;
  /** By player: for how many ticks it has been outside. */
  readonly #outside: Uint16Array;
  /** Places that are kept for players who have not come yet. */
  readonly #promised = new PromisedPlaces();
  /** By player: its id, where promises know it by one; and the other way round. */
  readonly #ids: string[];
  readonly #byId = new Map<string, number>();
  readonly #isHeld: (player: number) => boolean;
  #events: MembershipEvent[] = [];

  /** @param isHeld whether a player stands still, for now: then it is not swapped */
  constructor(layout: Layout, capacity: number, isHeld: (player: number) => boolean = () => false) {
    this.#layout = layout;
    this.#isHeld = isHeld;
    this.fragmentOf = new Int32Array(capacity).fill(nowhere);
    this.population = new Int32Array(layout.fragments.length);
    this.#outside = new Uint16Array(capacity);
    this.#ids = Array.from({ length: capacity }, () => "");
  }

  /** The events since the last call, oldest first. */
  takeEvents(): readonly MembershipEvent[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }

  /** Puts a new player into the fragment of a position, as {@link place} does. @param id by which places are promised to it */
  add(player: number, id: string, x: number, y: number, z: number, mustFit = false): number {
    this.#ids[player] = id;
    const fragment = this.place(player, x, y, z, mustFit);
    if (fragment !== nowhere && id !== "") this.#byId.set(id, player);
    return fragment;
  }

  /**
   * Puts a player, new or teleported, into the fragment of a position at once.
   *
   * @param mustFit also where the fragment is full, or not carried
   * @returns the fragment, or -1 when that one is full: then nothing has changed
   */
  place(player: number, x: number, y: number, z: number, mustFit = false): number {
    const target = this.#layout.locator.locate(x, y, z);
    const current = this.fragmentOf[player] ?? nowhere;
    if (target !== current && !mustFit && !this.isOpenTo(player, target)) return nowhere;
    this.#outside[player] = 0;
    if (target !== current) this.#swap(player, target);
    return target;
  }

  /** Takes a player out of the world. */
  remove(player: number): void {
    this.#outside[player] = 0;
    this.#swap(player, nowhere);
    const id = this.#ids[player] ?? "";
    if (this.#byId.get(id) === player) this.#byId.delete(id);
  }

  /** Looks where a player is now, once a tick. Returns whether it changed its fragment. */
  update(player: number, x: number, y: number, z: number): boolean {
    const { locator, rules } = this.#layout;
    const current = this.fragmentOf[player] ?? nowhere;
    if (current === nowhere) return false;
    if (locator.isWithin(current, x, y, z, rules.swapMargin)) {
      this.#outside[player] = 0;
      return false;
    }
    const target = locator.locate(x, y, z);
    if (target === current) {
      this.#outside[player] = 0;
      return false;
    }
    const ticks = Math.min((this.#outside[player] ?? 0) + 1, rules.swapDwellTicks);
    this.#outside[player] = ticks;
    if (ticks < rules.swapDwellTicks || this.#isHeld(player) || !this.isOpenTo(player, target)) return false;
    this.#outside[player] = 0;
    this.#swap(player, target);
    return true;
  }

  /** Whether a player may come into a fragment: it is carried here, and has a place that is promised to nobody else. [HAND-24] */
  isOpenTo(player: number, fragment: number): boolean {
    return this.hasPlacesFor([this.#ids[player] ?? ""], fragment);
  }

  /** Whether all of them may. Who is in it already, or has been promised a place of it, needs no other one. @param ids those of the players */
  hasPlacesFor(ids: readonly string[], fragment: number): boolean {
    const promised = this.#promised.of(this.#layout.fragments[fragment]?.name ?? "");
    const places = this.placesIn(fragment);
    if (promised.size + ids.length <= places) return true;
    const isOut = (id: string): boolean => this.fragmentOf[this.#byId.get(id) ?? nowhere] !== fragment;
    let wanted = 0;
    for (const id of promised.keys()) if (isOut(id)) wanted++;
    for (const id of ids) if (!promised.has(id) && isOut(id)) wanted++;
    return wanted <= places;
  }

  /** How many players more may be in a fragment, with those to whom a place is promised. */
  placesIn(fragment: number): number {
    const { capacity = 0, carried = false } = this.#layout.fragments[fragment] ?? {};
    if (!carried) return 0;
    return capacity === 0 ? Number.POSITIVE_INFINITY : Math.max(0, capacity - (this.population[fragment] ?? 0));
  }

  /** Keeps a place of a fragment for a player who is about to come. */
  promise(id: string, fragment: string): void {
    this.#promised.add(id, fragment);
  }

  /** Takes back a promise: its player has come, or will not. */
  unpromise(id: string, fragment: string): void {
    this.#promised.remove(id, fragment);
  }

  /** Indices of the players in a fragment. */
  playersIn(fragment: number): number[] {
    const players: number[] = [];
    for (const [player, current] of this.fragmentOf.entries()) if (current === fragment) players.push(player);
    return players;
  }

  /** Name of a player's fragment, or `undefined` for one who is not in the world. */
  nameOf(player: number): string | undefined {
    return this.#layout.fragments[this.fragmentOf[player] ?? nowhere]?.name;
  }

  /**
   * Takes over another layout. Who is still in a fragment of the same name (with the margin) stays there, and is told
   * nothing, and so does who has walked on from there to what another cluster carries, or stands still for now; everybody else is moved to the
   * fragment of their position, whether it is full or not.
   */
  changeLayout(layout: Layout, positionOf: (player: number) => { x: number; y: number; z: number }): void {
    const before = this.#layout;
    const indices = new Map(layout.fragments.map(({ name }, index) => [name, index]));
    this.population = new Int32Array(layout.fragments.length);
    for (const [player, old] of this.fragmentOf.entries()) {
      if (old === nowhere) continue;
      this.#outside[player] = 0;
      const { x, y, z } = positionOf(player);
      const name = before.fragments[old]?.name ?? "";
      const same = indices.get(name);
      const stays = same !== undefined && layout.locator.isWithin(same, x, y, z, layout.rules.swapMargin);
      const located = layout.locator.locate(x, y, z);
      // Into one that another cluster carries only a handover takes a player.
      const waits = layout.fragments[located]?.carried !== true && layout.fragments[same ?? nowhere]?.carried === true;
      const target = same !== undefined && (stays || waits || this.#isHeld(player)) ? same : located;
      this.fragmentOf[player] = target;
      this.population[target] = (this.population[target] ?? 0) + 1;
      if (target === same) continue;
      this.#events.push({ type: "leave", player, fragment: name });
      this.#events.push({ type: "enter", player, fragment: layout.fragments[target]?.name ?? "" });
    }
    this.#layout = layout;
  }

  #swap(player: number, target: number): void {
    const current = this.fragmentOf[player] ?? nowhere;
    if (current !== nowhere) {
      this.population[current] = (this.population[current] ?? 0) - 1;
      this.#tell("leave", player, current);
    }
    this.fragmentOf[player] = target;
    if (target === nowhere) return;
    this.population[target] = (this.population[target] ?? 0) + 1;
    this.#tell("enter", player, target);
  }

  #tell(type: MembershipEvent["type"], player: number, fragment: number): void {
    this.#events.push({ type, player, fragment: this.#layout.fragments[fragment]?.name ?? "" });
  }
}
