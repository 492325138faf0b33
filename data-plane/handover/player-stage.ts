import { generationAfterCommit } from "../../protocol/handover/generation.ts";
import type { HeldItem, ToClient } from "../../protocol/handover/messages.ts";
import type { ClusterRef, MemberRef, MemberTransfer, Snapshot } from "../../protocol/handover/parties.ts";
import type { MemberOutcome } from "../../protocol/handover/source-state.ts";
import { allFeatures, encodeAhead, encodeRedirect, encodeStay, features, versions } from "../../protocol/index.ts";
import { decodePlayerState, type PlayerState, PlayerStateError } from "../authority/player-state.ts";
import type { Peers } from "../peers/peers.ts";
import type { Placement } from "../plugin/player.ts";
import { ArrivingLine } from "../session/arriving-line.ts";
import { movePlayer } from "../session/player-move.ts";
import { JoinedPlayer } from "../session/joined-player.ts";
import type { PlayerHolder } from "../session/player-holder.ts";
import { answerLate } from "../session/resume-steps.ts";
import type { SessionContext } from "../session/session-context.ts";
import { ArrivalKeys } from "./arrival-keys.ts";
import { type CarriedFacts, decodeCarriedFacts } from "../session/carried-facts.ts";
import { Freezer } from "./freezer.ts";
import type { Handovers } from "./handovers.ts";
import { applyItem } from "../session/held-frame.ts";
import { holdingsOf, isWithinShare } from "./neighbour-share.ts";
import { type Parts, PlayerPacking } from "./player-packing.ts";
import type { Body, Stage } from "./stage.ts";

export interface PlayerStageOptions {
  readonly context: SessionContext;
  readonly handovers: () => Handovers;
  readonly peers: Pick<Peers, "addressOf">;
  /** Told of each player that has come from another cluster. */
  readonly onArrived: (player: JoinedPlayer) => void;
  /** Where a player's game teleports it; `undefined` for who walks. */
  readonly targetOf: (player: JoinedPlayer) => Placement | undefined;
  /** What the game has saved of a player, and how that goes on where it comes. */
  readonly saves: {
    pack(player: JoinedPlayer): Uint8Array | undefined;
    take(player: JoinedPlayer, saved: Uint8Array | undefined): void;
    /** Who has left with this generation, and is not saved yet. */
    goneWith(playerId: string, generation: number): JoinedPlayer | undefined;
    /** Generation of the ticket with which a player waits to enter here. */
    enteringOf(playerId: string): number | undefined;
  };
}

/** The players of a running cluster, as handovers move them. */
export class PlayerStage implements Stage, PlayerHolder {
  readonly keys = new ArrivalKeys();
  readonly #options: PlayerStageOptions;
  readonly #freezer: Freezer<JoinedPlayer>;
  /** What the plugins of players that stand still, or have gone, gave along. */
  readonly #parts = new Map<JoinedPlayer, Parts>();
  /** Those that have gone on, by id and generation. */
  readonly #departed = new Map<string, JoinedPlayer>();
  /** What has come for those who stand still and whom no handover has any more, until they are played here. */
  readonly #late = new Map<JoinedPlayer, HeldItem<Body>[]>();
  /** Seats that are promised, by handover: to whom, and from which cluster they come. */
  readonly #reserved = new Map<string, { readonly source: string; readonly playerIds: readonly string[] }>();
  /** Places of fragments that are promised, by handover: the fragment's name by the player's id, and to which cluster. */
  readonly #places = new Map<string, { readonly source: string; readonly wanted: ReadonlyMap<string, string> }>();

  constructor(options: PlayerStageOptions) {
    const { context, saves, targetOf } = options;
    this.#options = options;
    const { host, world, log } = context;
    const packing = new PlayerPacking({ host, world, saved: (player) => saves.pack(player), targetOf, log });
    this.#freezer = new Freezer({
      playerOf: (playerId) => context.players.byId(playerId),
      pack: (players) => packing.pack(players),
      holder: this,
      nowMs: context.clock.monotonicMs,
      log,
      onFrozen: (player, parts) => this.#parts.set(player, parts),
    });
  }

  /** Seats that are promised to players who have not come yet. */
  get reservedSeats(): number {
    return this.#promisedTo.size;
  }

  /** Those of them that are kept from a player who comes by a ticket: not its own, and not those of who is here by a ticket already. */
  seatsKeptFrom(playerId: string): number {
    let kept = 0;
    for (const other of this.#promisedTo) if (other !== playerId && this.#player(other) === undefined) kept += 1;
    return kept;
  }

  /** Whoever has been promised a seat; one, however often. */
  get #promisedTo(): ReadonlySet<string> {
    return new Set([...this.#reserved.values()].flatMap(({ playerIds }) => playerIds));
  }

  /** A tick is over: who is to be frozen is. */
  endTick(): void {
    this.#freezer.endTick();
  }

  generationOf(playerId: string): number | undefined {
    return this.#player(playerId)?.seat.generation;
  }

  newestOf(playerId: string): number | undefined {
    const [copy, entering] = [this.generationOf(playerId), this.#options.saves.enteringOf(playerId)];
    return copy === undefined || entering === undefined ? (copy ?? entering) : Math.max(copy, entering);
  }

  isConnected(playerId: string): boolean {
    return this.#player(playerId)?.hasClient === true;
  }

  freeze(...freeze: Parameters<Stage["freeze"]>): void {
    this.#freezer.freeze(...freeze);
  }

  depart(playerId: string): void {
    const player = this.#player(playerId);
    if (player === undefined) return;
    this.#late.delete(player);
    player.depart();
    this.#departed.set(nameOf(playerId, player.seat.generation), player);
    this.#options.context.log.info(
      { event: "moved-on", player: player.number, generation: player.seat.generation },
      `player ${player.number} went on to another cluster`,
    );
  }

  play(playerId: string, generation: number, items: readonly HeldItem<Body>[]): void {
    const { host } = this.#options.context;
    const gone = this.#departed.get(nameOf(playerId, generation));
    // It plays here by a newer ticket already.
    if (gone !== undefined && this.#player(playerId) !== undefined) return this.#forget(gone);
    let isIn = true;
    if (gone !== undefined) {
      this.#departed.delete(nameOf(playerId, generation));
      isIn = gone.revive();
    }
    const player = this.#player(playerId);
    if (player === undefined) return;
    const parts = this.#parts.get(player);
    if (parts === undefined) return;
    this.#parts.delete(player);
    // Its client may have been told already that it stands elsewhere.
    if (gone !== undefined && this.#options.targetOf(player) !== undefined) player.place.markUntold();
    answerLate(this.#options.context, player);
    host.migrateIn(player.lane, player, parts);
    player.unfreeze();
    const late = this.#late.get(player) ?? [];
    this.#late.delete(player);
    // What was said to it, in the order in which it was said; then what it did, of which the game has yet to hear. Each hook may have it leave.
    const all = [...items, ...late];
    for (const item of all) if (item.kind === "output") this.#apply(player, item);
    player.tellPresence();
    const move = player.place.takeHeldMove();
    if (move !== undefined && player.connected) movePlayer(this.#options.context, player, move);
    for (const item of all) if (item.kind !== "output") this.#apply(player, item);
    // Its place here is gone: the master has it as it was when it left, and it can come back from that.
    if (!isIn) player.close("INTERNAL");
    this.#showOutRevoked(player);
  }

  adopt(playerId: string, from: number, generation: number): void {
    const player = this.#player(playerId);
    if (player?.seat.generation === from) {
      player.adopt(generation);
      this.#options.context.seats.joined(player.seat);
      return;
    }
    this.#options.saves.goneWith(playerId, from)?.adopt(generation);
  }

  drop(playerId: string, generation: number, outcome: Exclude<MemberOutcome, "stayed">): void {
    const gone = this.#departed.get(nameOf(playerId, generation));
    if (gone !== undefined) return this.#forget(gone);
    const player = this.#player(playerId);
    if (player?.seat.generation !== generation) return;
    if (outcome === "superseded") this.#options.handovers().counts.overlaps += 1;
    if (!player.held) return player.close("REPLACED");
    this.#parts.delete(player);
    this.#late.delete(player);
    player.vanish();
  }

  announce(playerId: string, id: string, destination: ClusterRef): void {
    const player = this.#player(playerId);
    const cluster = this.#options.peers.addressOf(destination.clusterId);
    if (player?.has(features.ahead) === true && cluster !== undefined) player.tellClient(encodeAhead({ id, cluster }));
  }

  callOff(playerId: string, id: string): void {
    const player = this.#player(playerId);
    if (player?.has(features.ahead) === true) player.tellClient(encodeStay({ id }));
  }

  tellClient(playerId: string, message: ToClient): void {
    const state = this.#options.handovers().newest(playerId);
    const generation = state?.members.find((member) => member.playerId === playerId)?.generation ?? 0;
    const player = this.#departed.get(nameOf(playerId, generation)) ?? this.#player(playerId);
    if (player === undefined) return;
    const frame = message.type === "stay" ? encodeStay({ id: message.id }) : this.#redirect(message);
    if (frame === undefined) return;
    const target = message.type === "redirect" ? this.#options.targetOf(player) : undefined;
    // Behind REDIRECT it would not listen any more, and before the answer to its RESUME not yet. [MOVE-3] [REDIRECT-4]
    if (target !== undefined && player.awaitsFrom === undefined) player.tellClient(player.place.positionFrame(target));
    player.tellClient(frame);
    if (message.type === "redirect") player.toldWay();
  }

  /** Where the client of a player that has gone on has to go; `undefined` when that is not known any more. */
  redirectOf(player: JoinedPlayer): Uint8Array | undefined {
    const { generation } = player.seat;
    if (this.#departed.get(nameOf(player.id, generation)) !== player) return undefined;
    const state = this.#options.handovers().outgoing(player.id, generation);
    const key = state?.members.find(({ playerId }) => playerId === player.id)?.key;
    if (state?.token === undefined || key === undefined) return undefined;
    const { id, destination, token } = state;
    return this.#redirect({ id, destination, key, token });
  }

  reserve(id: string, members: readonly MemberRef[], source: string): "full" | "invalid" | undefined {
    const { saves, context } = this.#options;
    const { players, revocations, maxPlayers, world } = context;
    const isWelcome = ({ playerId, generation }: MemberRef): boolean =>
      players.byId(playerId) === undefined &&
      (saves.enteringOf(playerId) ?? 0) <= generation &&
      !revocations.covers(playerId, generationAfterCommit(generation));
    if (!members.every(isWelcome)) return "invalid";
    const limit = maxPlayers();
    const places = limit > 0 ? limit - players.size : Number.POSITIVE_INFINITY;
    const most = Math.min(places, world?.freePlaces ?? Number.POSITIVE_INFINITY);
    const asked = new Set(members.map(({ playerId }) => playerId));
    const { isFirst, ...holdings } = holdingsOf(
      // What another handover was promised for one of them is that one's already.
      onePerPlayer(this.#reserved.values(), (other) => !asked.has(other) && this.#player(other) === undefined),
      source,
      () => 1,
    );
    if (!isWithinShare({ most, ...holdings }, members.length, isFirst)) return "full";
    this.#reserved.set(id, { source, playerIds: members.map(({ playerId }) => playerId) });
    return undefined;
  }

  unreserve(id: string): void {
    this.#reserved.delete(id);
    const places = this.#places.get(id);
    this.#places.delete(id);
    if (places !== undefined) this.#options.context.world?.unpromise(places.wanted);
  }

  admit(id: string, members: readonly MemberTransfer<Body>[]): "full" | "invalid" | undefined {
    const { world, host } = this.#options.context;
    const names = new Set(host.slots.map(({ name }) => name));
    const found = members.map(({ snapshot }) => readState(snapshot.state));
    const isReadable = found.every(
      (one) =>
        one !== undefined &&
        one.facts.version >= versions.min &&
        one.facts.version <= versions.max &&
        (one.facts.features & ~allFeatures) === 0 &&
        (one.facts.features & features.resume) !== 0 &&
        world?.carries(one.state.placement) !== false &&
        [...one.state.parts.keys()].every((name) => names.has(name)),
    );
    if (!isReadable) return "invalid";
    if (world === undefined) return undefined;
    const wanted = new Map<string, string>();
    for (const [index, { playerId }] of members.entries()) {
      const one = found[index];
      const name = one === undefined ? undefined : world.fragmentAt(one.state.placement);
      // Who was in the fragment before comes with it, as where it is carried here from now on.
      if (name === undefined || (one?.facts.isPut === false && one.state.fragment === name)) continue;
      wanted.set(playerId, name);
    }
    const source = this.#reserved.get(id)?.source ?? "";
    if (!this.#areWithinShare(source, wanted) || !world.promise(wanted)) return "full";
    this.#places.set(id, { source, wanted });
    return undefined;
  }

  /** Whether a neighbour may have these places of fragments, by player, promised to it, besides those of others that it has. [HAND-17] */
  #areWithinShare(source: string, wanted: ReadonlyMap<string, string>): boolean {
    const { world } = this.#options.context;
    return [...Map.groupBy(wanted, ([, name]) => name)].every(([name, players]) => {
      const promises = Array.from(this.#places.values(), (one) => ({
        source: one.source,
        playerIds: Array.from(one.wanted).flatMap(([id, fragment]) => (fragment === name ? [id] : [])),
      }));
      const { isFirst, ...holdings } = holdingsOf(
        onePerPlayer(promises, (id) => wanted.get(id) !== name && this.#player(id)?.fragment !== name),
        source,
        () => 1,
      );
      return isWithinShare({ most: world?.placesIn(name) ?? 0, ...holdings }, players.length, isFirst);
    });
  }

  activate(playerId: string, generation: number, key: string, { state: bytes, streams }: Snapshot<Body>): void {
    const { context, saves } = this.#options;
    const found = readState(bytes);
    if (found === undefined) throw new Error("a state that was admitted cannot be read");
    const { state, facts } = found;
    this.#replaceOlder(playerId, generation);
    this.#detachEarlier(playerId);
    const line = new ArrivingLine(context);
    const { tenure, past, lastInput, lastOutput, unacknowledged } = streams;
    const player = new JoinedPlayer({
      context,
      seat: { reservationId: facts.reservationId, playerId, generation },
      name: facts.name,
      position: state.placement,
      ticketFragment: facts.ticketFragment,
      version: facts.version,
      features: context.world === undefined ? facts.features & ~features.world : facts.features,
      line,
      carried: {
        streams: { lastInput, lastOutput, unacknowledged },
        tenure,
        past,
        lastRequest: facts.lastRequest,
        moveSequence: facts.moveSequence,
      },
    });
    line.player = player;
    context.players.add(player);
    context.seats.joined(player.seat);
    player.awaitArrival();
    if (facts.isPut) player.place.markUntold();
    this.#options.onArrived(player);
    this.keys.add(key, player);
    const isIn = context.world?.enter(player, state.values, true) !== false;
    saves.take(player, state.saved);
    context.host.migrateIn(player.lane, player, state.parts);
    context.log.info(
      { event: "arrived", player: player.number, generation },
      `player ${player.number} came from another cluster`,
    );
    // The master has it as it was: it can come back from that.
    if (!isIn) player.close("INTERNAL");
    this.#showOutRevoked(player);
  }

  deliver(playerId: string, item: HeldItem<Body>): void {
    // It may have gone on from here already. [HAND-7]
    if (this.#options.handovers().hold(playerId, item)) return;
    const player = this.#player(playerId);
    if (player !== undefined) this.#apply(player, item);
  }

  input(player: JoinedPlayer, sequence: number, frame: Uint8Array): void {
    this.#hold(player, { kind: "input", sequence, body: new Uint8Array(frame) });
  }

  output(player: JoinedPlayer, frame: Uint8Array): void {
    this.#hold(player, { kind: "output", body: new Uint8Array(frame) });
  }

  leave(player: JoinedPlayer): void {
    this.#hold(player, { kind: "leave" });
  }

  clientGone(player: JoinedPlayer): void {
    if (this.#serves(player)) this.#options.handovers().noteClient(player.id, "clientGone");
  }

  clientBack(player: JoinedPlayer): void {
    if (this.#serves(player)) this.#options.handovers().noteClient(player.id, "clientBack");
  }

  #hold(player: JoinedPlayer, item: HeldItem<Body>): void {
    if (this.#serves(player) && this.#options.handovers().hold(player.id, item)) return;
    if (this.#player(player.id) !== player) return;
    // It is about to be played here: as by a hook that hears first that it stays.
    const late = this.#late.get(player) ?? [];
    this.#late.set(player, [...late, item]);
  }

  /** A connection serves the tenure for which it was opened: one of an earlier stay here is of no use any more. [HAND-7] */
  #serves(player: JoinedPlayer): boolean {
    const { members = [] } = this.#options.handovers().newest(player.id) ?? {};
    return members.some(({ playerId, generation }) => playerId === player.id && generation === player.seat.generation);
  }

  /** One that has gone on, and does not come back. */
  #forget(gone: JoinedPlayer): void {
    this.#departed.delete(nameOf(gone.id, gone.seat.generation));
    this.#parts.delete(gone);
    gone.retire();
  }

  /** A copy of an earlier session that has come here since the seat was promised, and of which its own session has not been heard. */
  #replaceOlder(playerId: string, generation: number): void {
    const older = this.#player(playerId);
    if (older === undefined) return;
    // A handover away from here may have it.
    this.#options.handovers().fence(playerId, generation);
    older.close("REPLACED");
  }

  /** Connections of the player's earlier stays here belong to what is over. */
  #detachEarlier(playerId: string): void {
    for (const player of this.#departed.values()) if (player.id === playerId) player.line.finish();
  }

  /** The master has revoked it while it was nowhere in the game. [CLOSE-4] */
  #showOutRevoked(player: JoinedPlayer): void {
    const code = this.#options.context.revocations.codeFor(player.id, player.seat.generation);
    if (code !== undefined) player.close(code);
  }

  #redirect({ id, destination, key, token }: Omit<Extract<ToClient, { type: "redirect" }>, "type">) {
    const cluster = this.#options.peers.addressOf(destination.clusterId);
    return cluster === undefined ? undefined : encodeRedirect({ id, key, boot: destination.boot, cluster, token });
  }

  #apply(player: JoinedPlayer, item: HeldItem<Body>): void {
    if (item.kind === "leave") return player.end(player.goodbye ?? "NORMAL");
    applyItem(this.#options.context.host, player, item);
  }

  #player(playerId: string): JoinedPlayer | undefined {
    return this.#options.context.players.byId(playerId);
  }
}

/** Whose promises they are: one a player, however often it was promised, and of those alone who count, as they have not come. */
function onePerPlayer(
  promises: Iterable<{ readonly source: string; readonly playerIds: readonly string[] }>,
  counts: (playerId: string) => boolean,
): readonly { readonly source: string }[] {
  const sources = new Map<string, string>();
  for (const { source, playerIds } of promises) {
    for (const playerId of playerIds) if (counts(playerId)) sources.set(playerId, source);
  }
  return Array.from(sources.values(), (source) => ({ source }));
}

function nameOf(playerId: string, generation: number): string {
  return `${generation} ${playerId}`;
}

function readState(bytes: Uint8Array): { readonly state: PlayerState; readonly facts: CarriedFacts } | undefined {
  try {
    const state = decodePlayerState(bytes);
    const facts = decodeCarriedFacts(state.carried);
    return facts === undefined ? undefined : { state, facts };
  } catch (error) {
    if (error instanceof PlayerStateError) return undefined;
    throw error;
  }
}
