import { carryChange, type CarryChange } from "../fragments/carry-change.ts";
import {
  encodeFragment,
  encodeKinds,
  features,
  frameHeaderBytes,
  type KindTable,
  messageTypes,
} from "../../protocol/index.ts";
import type { Border } from "../fragments/border.ts";
import type { BorderSides } from "../fragments/border-sides.ts";
import type { Fragment, FragmentSettings, Layout } from "../fragments/layout.ts";
import type { MembershipEvent } from "../fragments/membership.ts";
import { defaultLayout } from "../fragments/layout-parser.ts";
import { World } from "../fragments/world.ts";
import type { Work } from "../fragments/work.ts";
import type { Entity, FieldValues, FragmentView, Point, ThresholdChange } from "../plugin/entities.ts";
import type { Placement } from "../plugin/player.ts";
import type { PluginHost } from "../plugin/plugin-host.ts";
import type { ClusterSettings } from "../config/settings.ts";
import type { JoinedPlayer } from "../session/joined-player.ts";
import { assertFinite, EntityHandle } from "./entity-handle.ts";
import { createKinds, type NamedKinds, playerFields, playerKind } from "./entity-kinds.ts";
import type { EntityIdentity } from "./ghost-frame.ts";
import { ghostIdentity } from "./ghost-identity.ts";
import { Ghosts } from "./ghosts.ts";
import { FrameSlab } from "./frame-slab.ts";
import { findSpawnPlace } from "./spawn-place.ts";

/** What the world needs of a player. */
export interface WorldPlayer {
  readonly id: string;
  readonly number: number;
  readonly position: Placement;
  readonly moveBudget: { maxSpeed: number };
  /** Whether a feature is in force. */
  has(feature: number): boolean;
  /** Whether its connection is gone. */
  readonly dropped: boolean;
  /** Whether a handover has it: nothing of it runs here, and so it crosses no border. [HAND-6] */
  readonly held: boolean;
  /** Whether the last view has not gone out yet. */
  readonly viewWaits: boolean;
  sendControl(frame: Uint8Array): void;
  sendView(frame: Uint8Array): void;
}

/** Nobody else can start now. */
export interface NoRoom {
  /** The fragment that takes nobody; `undefined` when it is the world. */
  readonly fullFragment: string | undefined;
}

/** Who is told what happens between fragments; each event once, in order. */
export interface WorldEvents<P> {
  enterFragment(player: P, fragment: string): void;
  leaveFragment(player: P, fragment: string): void;
  threshold(change: ThresholdChange): void;
  carry(change: CarryChange): void;
}

export interface ClusterWorldOptions<P> {
  readonly layout: Layout;
  readonly kinds: NamedKinds;
  readonly tickHz: number;
  /** Most players; 0 means as many as entities. */
  readonly maxPlayers: number;
  /** World units a second, where the fragment has no limit of its own; 0 means unchecked. */
  readonly maxSpeed: number;
  readonly spawn: Point;
  /** Whether other clusters tell of what stands near their side of a border. */
  readonly isShared?: boolean;
  readonly events: WorldEvents<P>;
}

/** What of a player's place in the world can be carried elsewhere and taken up there. */
export interface WorldSnapshot {
  readonly placement: Placement;
  readonly fragment: string;
  /** State of its entity, without what every player's has. */
  readonly values: FieldValues;
}

/** What the world has done since the start. */
export interface WorldCounts extends Readonly<Work> {
  readonly entities: number;
  /** Copies of other clusters' entities, beside them. */
  readonly ghosts: number;
  /** Entities that neighbours were told of: how many entered, and bytes of all that they were told. */
  readonly told: Pick<Work, "enters" | "updates" | "bytes" | "deferred">;
  /** Swaps of players between fragments. */
  readonly crossings: number;
  /** Frames that were due and not made, as the one before had not gone out. */
  readonly held: number;
}

/** A player in the world. */
interface Member<P> {
  readonly player: P;
  readonly index: number;
  readonly entity: EntityHandle;
  /** What other clusters call it; empty where there are none. */
  readonly identity: string;
  /** Whether its client is shown the world. */
  readonly isShown: boolean;
  /** The fragment that its plugin hooks have been told of. */
  fragment: string | undefined;
  /** What holds there, as its client has last been told. */
  told: FragmentSettings | undefined;
  toldFragment: string | undefined;
  /** Whether its client came from another cluster, and has been shown nothing here yet. */
  isNew: boolean;
}

/** For how long what nobody tells of any more stays, in seconds. [GHOST-7] */
const lingerSeconds = 1;

/** The world that the settings lay out, and the plugins have kinds for; `undefined` where there is neither. @throws RangeError */
export function createWorld(settings: ClusterSettings, host: PluginHost): ClusterWorld | undefined {
  const declarations = host.slots.map(({ plugin }) => plugin.entities).filter((entities) => entities !== undefined);
  if (settings.world === undefined && declarations.length === 0) return undefined;
  const { tickHz, maxConnections, maxSpeed, spawn } = settings;
  return new ClusterWorld({
    layout: settings.world ?? defaultLayout(),
    kinds: createKinds(declarations),
    tickHz,
    maxPlayers: maxConnections,
    maxSpeed,
    spawn,
    isShared: settings.worldName !== undefined,
    events: host,
  });
}

/**
 * The world of a running cluster: players' bodies and plugins' entities, swapped between fragments by position, and shown to the
 * players, once a tick. It is pure but for the frames and events that it hands on.
 */
export class ClusterWorld<P extends WorldPlayer = JoinedPlayer> {
  readonly #world: World;
  readonly #kinds: NamedKinds;
  readonly #options: ClusterWorldOptions<P>;
  readonly #slab = new FrameSlab();
  readonly #members = new Map<P, Member<P>>();
  readonly #byIndex: (Member<P> | undefined)[] = [];
  readonly #kindsFrame: Uint8Array;
  /** What other clusters tell of their entities; `undefined` where the world is not shared. */
  readonly ghosts: Ghosts | undefined;
  /** Lets players walk on into another cluster's area while they are handed over. */
  border: { admits(player: P, point: Point): boolean } | undefined;
  #events: MembershipEvent[] = [];
  /** Frames of the tick in progress. */
  #outgoing: { readonly player: P; readonly frame: Uint8Array; readonly isView: boolean }[] = [];
  #crossings = 0;
  #held = 0;

  constructor(options: ClusterWorldOptions<P>) {
    const { layout, kinds, tickHz, maxPlayers, isShared = false } = options;
    const { maxEntities, maxGhosts } = layout.rules;
    const mostPlayers = maxPlayers === 0 ? maxEntities : Math.min(maxPlayers, maxEntities);
    this.#options = options;
    this.#kinds = kinds;
    this.#world = new World({
      layout,
      kinds: kinds.table,
      tickHz,
      maxPlayers: mostPlayers,
      maxEntities,
      maxGhosts: isShared ? maxGhosts : 0,
      isHeld: (player) => this.#byIndex[player]?.player.held === true,
    });
    if (isShared) this.ghosts = new Ghosts(this.#world, kinds, Math.max(1, Math.round(lingerSeconds * tickHz)));
    this.#kindsFrame = encodeKinds(kinds.table);
  }

  get layout(): Layout {
    return this.#world.layout;
  }

  get counts(): WorldCounts {
    const { work, borderWork, entities, ghostCount } = this.#world;
    return {
      ...work,
      entities: entities.liveCount - ghostCount,
      ghosts: ghostCount,
      told: borderWork,
      crossings: this.#crossings,
      held: this.#held,
    };
  }

  /**
   * Where a newcomer starts, or the fragment in which there is no room for it; that one is `undefined` when the world has none.
   *
   * @param id of the player, to whom a place may be promised
   * @param older the same player's session that would make room for it
   * @param at where it was before: there, if this cluster carries that and there is room
   */
  findPlace(id: string, ticketFragment: string, older: P | undefined, at?: Placement): Placement | NoRoom {
    const { layout } = this.#world;
    const isHere = at !== undefined && layout.fragments[layout.locator.locate(at.x, at.y, at.z)]?.carried === true;
    const again = isHere && this.#isOpenTo(id, older, at) ? at : undefined;
    if (again !== undefined) return again;
    const place = { ...findSpawnPlace(layout, this.#options.spawn, ticketFragment), heading: 0 };
    if (this.#isOpenTo(id, older, place)) return place;
    return { fullFragment: this.#hasRoomFor(older) ? this.#fragmentNameAt(place) : undefined };
  }

  /** Whether somebody new can start there, who may be there already as `older`. */
  #isOpenTo(id: string, older: P | undefined, place: Point): boolean {
    const isBack = this.#fragmentLeftBy(older) === this.#fragmentNameAt(place);
    return this.#hasRoomFor(older) && (isBack || this.#world.isOpenTo(id, place.x, place.y, place.z));
  }

  #hasRoomFor(older: P | undefined): boolean {
    return this.#fragmentLeftBy(older) !== undefined || this.#world.hasRoom;
  }

  #fragmentLeftBy(older: P | undefined): string | undefined {
    return older === undefined ? undefined : this.#world.fragmentOf(this.#members.get(older)?.index ?? -1);
  }

  #fragmentNameAt({ x, y, z }: Point): string | undefined {
    const { layout } = this.#world;
    return layout.fragments[layout.locator.locate(x, y, z)]?.name;
  }

  /**
   * Gives a player its body, where it stands. What its client sees comes with the ticks, and for which it has to be told the kinds.
   *
   * @param values state of its entity from before, as in a {@link WorldSnapshot}
   * @param mustFit whether it comes in also where its fragment is full or another cluster's: it has been promised its place
   * @returns false when there is no room
   */
  enter(player: P, values: FieldValues = {}, mustFit = false): boolean {
    const { entities } = this.#world;
    const { x, y, z, heading } = player.position;
    const identity = this.ghosts === undefined ? "" : ghostIdentity(player.id);
    const ghost = this.ghosts?.claim(identity) ?? -1;
    const index = this.#world.addPlayer(playerKind, x, y, z, { id: player.id, mustFit, ghost });
    const kind = this.#kinds.byId(playerKind);
    if (index === -1 || kind === undefined) {
      this.ghosts?.left(identity, ghost);
      return false;
    }
    const body = this.#world.bodyOf(index);
    entities.set(body, playerFields.number, player.number);
    entities.set(body, playerFields.heading, heading);
    const entity = new EntityHandle(this.#world, body, kind);
    entity.restore(values);
    const isShown = player.has(features.world);
    const member: Member<P> = {
      player,
      index,
      entity,
      identity,
      isShown,
      fragment: undefined,
      told: undefined,
      toldFragment: undefined,
      isNew: false,
    };
    this.#members.set(player, member);
    this.#byIndex[index] = member;
    this.#limitSpeed(member);
    return true;
  }

  /** Tells a player's client the kinds: once in a session, and anew at each cluster. [KINDS-2] */
  tellKinds(player: P): void {
    if (this.#members.get(player)?.isShown === true) player.sendControl(this.#kindsFrame);
  }

  /** Takes a player out; that it left its fragment has been told when this returns. */
  leave(player: P): void {
    const member = this.#members.get(player);
    if (member === undefined) return;
    const isTold = this.ghosts?.isTold(member.identity) === true;
    this.#takeOut(member, isTold);
  }

  /** Takes a player out that goes on at another cluster. What is seen of it stays until that one tells of it, for a while. [GHOST-8] */
  depart(player: P): void {
    const member = this.#members.get(player);
    if (member !== undefined) this.#takeOut(member, this.ghosts !== undefined);
  }

  /** A player's client is back on another connection: its view is empty. [ENTITIES-6] */
  returned(player: P): void {
    const member = this.#members.get(player);
    if (member === undefined) return;
    this.#world.resetView(member.index);
    member.told = undefined;
  }

  /** A player's client has come after it from another cluster: it has been told nothing yet. */
  arrived(player: P): void {
    const member = this.#members.get(player);
    if (member === undefined) return;
    this.tellKinds(player);
    member.isNew = true;
    this.returned(player);
  }

  /** How many players more fit into the world, wherever. */
  get freePlaces(): number {
    return this.#world.freePlaces;
  }

  /** Whether this cluster carries the fragment there. */
  carries(place: Point): boolean {
    return this.fragmentAt(place) !== undefined;
  }

  /** Name of the fragment there, if this cluster carries it. */
  fragmentAt({ x, y, z }: Point): string | undefined {
    const { locator, fragments } = this.#world.layout;
    const { name, carried } = fragments[locator.locate(x, y, z)] ?? {};
    return carried === true ? name : undefined;
  }

  /** Name of the fragment there, whoever carries it. */
  nameAt({ x, y, z }: Point): string {
    const { locator, fragments } = this.#world.layout;
    return fragments[locator.locate(x, y, z)]?.name ?? "";
  }

  /** How many players more a fragment may have, with those to whom a place there is promised. */
  placesIn(fragment: string): number {
    return this.#world.placesIn(fragment);
  }

  /**
   * Keeps places for players who are about to come, in a fragment each, by name, for the player's id; false, and nothing is kept, where there are
   * not so many. What is promised to a player never keeps that player out.
   */
  promise(wanted: ReadonlyMap<string, string>): boolean {
    return this.#world.promise(wanted);
  }

  /** Takes back promises, each as it was given: their players have come, or will not. */
  unpromise(wanted: ReadonlyMap<string, string>): void {
    this.#world.unpromise(wanted);
  }

  /** Whether a player may step there: not into a fragment that is full, or another cluster's. */
  admits(player: P, point: Point): boolean {
    const member = this.#members.get(player);
    if (member === undefined || this.#world.admits(member.index, point.x, point.y, point.z)) return true;
    return this.border?.admits(player, point) === true;
  }

  /** Whether a point lies in another cluster's area, farther out of the player's fragment than the margin, and by how much. */
  isBeyond(player: P, point: Point): "no" | "within-overrun" | "too-far" {
    const member = this.#members.get(player);
    return member === undefined ? "no" : this.#world.isBeyond(member.index, point.x, point.y, point.z);
  }

  /** A player stands elsewhere now: it has moved. */
  moved(player: P, { x, y, z, heading }: Placement): void {
    const member = this.#members.get(player);
    if (member === undefined) return;
    const body = this.#world.bodyOf(member.index);
    this.#world.entities.move(body, x, y, z);
    this.#world.entities.set(body, playerFields.heading, heading);
  }

  /** What a neighbour is to be told of, from now on. */
  createBorder(sides: BorderSides): Border {
    return this.#world.createBorder(sides);
  }

  /** What other clusters call the players among these entities. */
  identitiesOf(slots: Int32Array): EntityIdentity[] {
    const found: EntityIdentity[] = [];
    for (const slot of slots) {
      const identity = this.#byIndex[this.#world.ownerOf(slot)]?.identity;
      if (identity !== undefined) found.push({ number: this.#world.entities.number[slot] ?? 0, identity });
    }
    return found;
  }

  /** The kinds of entity, as other clusters are told of them. */
  get kindTable(): KindTable {
    return this.#kinds.table;
  }

  /** Puts a player elsewhere at once; coordinates are finite. Returns false when there is no room; then it has not moved. */
  teleport(player: P, to: Placement): boolean {
    const member = this.#members.get(player);
    if (member === undefined || !this.#world.teleport(member.index, to.x, to.y, to.z)) return false;
    this.moved(player, to);
    this.#limitSpeed(member);
    return true;
  }

  /** What of a player's place is to be carried elsewhere. */
  snapshot(player: P): WorldSnapshot | undefined {
    const member = this.#members.get(player);
    if (member === undefined) return undefined;
    const values: Record<string, number | Uint8Array> = {};
    for (const [name, index] of this.#kinds.byId(playerKind)?.fields ?? []) {
      const value = member.entity.get(name);
      if (index > playerFields.heading && value !== undefined) values[name] = value;
    }
    return { placement: player.position, fragment: this.fragmentOf(player) ?? "", values };
  }

  fragmentOf(player: P): string | undefined {
    const member = this.#members.get(player);
    return member === undefined ? undefined : this.#world.fragmentOf(member.index);
  }

  entityOf(player: P): Entity | undefined {
    return this.#members.get(player)?.entity;
  }

  /** Names of the fragments that somebody is in, also where another cluster carries them by now. */
  get peopled(): ReadonlySet<string> {
    return new Set(this.#world.fragments().flatMap(({ name, players }) => (players > 0 ? [name] : [])));
  }

  playersIn(fragment: string): P[] {
    return this.#world.playersIn(fragment).flatMap((index) => this.#byIndex[index]?.player ?? []);
  }

  /** All fragments that this cluster carries, in the order of the layout. */
  fragments(): FragmentView[] {
    return this.#world
      .fragments()
      .filter((_, index) => this.layout.fragments[index]?.carried === true)
      .map(({ name, players, level, settings }) => ({
        name,
        players,
        level,
        updateHz: Math.min(settings.updateHz, this.#options.tickHz),
        viewRange: settings.viewRange,
      }));
  }

  /** World units a second that players of a fragment may move; 0 means unchecked. */
  speedLimitIn({ speedLimit }: Pick<Fragment, "speedLimit">): number {
    return speedLimit || this.#options.maxSpeed;
  }

  /**
   * Puts an entity into the world. Returns `undefined` when the world is full.
   *
   * @throws RangeError for a kind or field that there is not, or a value that the field cannot hold
   */
  spawn(kindName: string, { x, y, z }: Point, values: FieldValues = {}): Entity | undefined {
    const kind = this.#kinds.find(kindName);
    if (kind === undefined || kind.id === playerKind) throw new RangeError(`there is no kind of entity ${kindName}`);
    assertFinite(x, y, z);
    const slot = this.#world.spawn(kind.id, x, y, z);
    if (slot === -1) return undefined;
    const entity = new EntityHandle(this.#world, slot, kind);
    try {
      entity.set(values);
    } catch (error) {
      entity.despawn();
      throw error;
    }
    return entity;
  }

  /** The entity with this number, a player's or a plugin's; none for a ghost, which only its own cluster can change. */
  entity(number: number): Entity | undefined {
    const slot = this.#world.find(number);
    const kind = slot === undefined ? undefined : this.#kinds.byId(this.#world.entities.kindId[slot] ?? 0);
    return slot === undefined || kind === undefined ? undefined : new EntityHandle(this.#world, slot, kind);
  }

  /** Takes over another layout while players play. */
  changeLayout(layout: Layout): void {
    const before = this.layout;
    this.#world.changeLayout(layout);
    const change = carryChange(before, layout);
    if (change !== undefined) this.#options.events.carry(change);
    this.#dispatch();
  }

  /**
   * Ends a tick: swaps players, shows them the world as it is now, then tells plugins what happened.
   *
   * @param showOthers shows neighbours the same moment
   */
  tick(tick: number, showOthers: () => void = () => undefined): void {
    this.ghosts?.tick(tick);
    const { levels, moves } = this.#world.step(tick);
    this.#events.push(...moves);
    // Before any hook runs: what is shown is one moment of the world, and what a hook changes belongs to the next.
    for (const member of this.#members.values()) this.#show(member, tick);
    showOthers();
    this.#send();
    this.#dispatch();
    for (const { fragment, from, to } of levels) {
      const players = this.#world.playersIn(fragment).length;
      this.#options.events.threshold({ fragment, from, to, players });
    }
  }

  #takeOut(member: Member<P>, staysSeen: boolean): void {
    const { player, index, identity } = member;
    this.#members.delete(player);
    if (staysSeen) this.ghosts?.leaveBehind(identity, this.#world.departPlayer(index));
    else {
      this.#world.removePlayer(index);
      this.ghosts?.left(identity, -1);
    }
    this.#dispatch();
    this.#byIndex[index] = undefined;
  }

  #show(member: Member<P>, tick: number): void {
    const { player, index } = member;
    const settings = this.#world.settingsOf(index);
    const fragment = this.#world.fragmentOf(index);
    if (settings !== member.told || fragment !== member.toldFragment) this.#tellFragment(member, tick);
    if (!member.isShown || player.dropped || !this.#world.isFrameDue(index)) return;
    if (player.viewWaits) {
      // What it would be told is told later, as one difference. [ENTITIES-9]
      this.#held += 1;
      return;
    }
    const slab = this.#slab;
    const header = frameHeaderBytes + 1;
    slab.reserve(header + this.#world.frameRoom(index));
    const start = slab.offset;
    const end = this.#world.writeFrame(index, slab.target, start + header, member.isNew);
    if (end === start + header) return;
    member.isNew = false;
    slab.target.view.setUint16(start, end - start - frameHeaderBytes, true);
    slab.target.view.setUint8(start + frameHeaderBytes, messageTypes.entities);
    this.#outgoing.push({ player, frame: slab.take(end), isView: true });
  }

  /** All frames are made by now: to send one may end a session, and that changes the world. */
  #send(): void {
    for (const { player, frame, isView } of this.#outgoing) {
      if (isView) player.sendView(frame);
      else player.sendControl(frame);
    }
    this.#outgoing = [];
  }

  /** [FRAGMENT-1] */
  #tellFragment(member: Member<P>, tick: number): void {
    const { player, index, isShown } = member;
    const speedLimit = this.#limitSpeed(member);
    if (isShown && player.dropped) return;
    member.told = this.#world.settingsOf(index);
    member.toldFragment = this.#world.fragmentOf(index);
    const { told, toldFragment: name } = member;
    if (!isShown || told === undefined || name === undefined) return;
    const { viewRange, precision } = told;
    const updateHz = Math.min(told.updateHz, this.#options.tickHz);
    const frame = encodeFragment({ tick: tick >>> 0, updateHz, viewRange, precision, speedLimit, name });
    this.#outgoing.push({ player, frame, isView: false });
  }

  #limitSpeed({ player, index }: Member<P>): number {
    const limit = this.#world.speedLimitOf(index) || this.#options.maxSpeed;
    player.moveBudget.maxSpeed = limit;
    return limit;
  }

  /** Tells what waits, oldest first. Hooks may cause more, and call this again: still each is told once, in order. */
  #dispatch(): void {
    this.#events.push(...this.#world.takeMoves());
    for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
      const member = this.#byIndex[event.player];
      if (member === undefined) continue;
      if (event.type === "leave") {
        this.#options.events.leaveFragment(member.player, event.fragment);
      } else {
        if (member.fragment !== undefined) this.#crossings += 1;
        member.fragment = event.fragment;
        this.#options.events.enterFragment(member.player, event.fragment);
      }
    }
  }
}
