import {
  answerUnknown,
  beginReservation,
  type DestinationEffect,
  type DestinationEvent,
  type DestinationState,
  type DestinationStep,
  stepDestination,
} from "../../protocol/handover/destination.ts";
import { generationAfterCommit, sessionOf } from "../../protocol/handover/generation.ts";
import type { ToDestination, ToSession, ToSource } from "../../protocol/handover/messages.ts";
import type { ClusterRef, CommitClaims, MemberTransfer, Snapshot } from "../../protocol/handover/parties.ts";
import { destinationTimeout } from "../../protocol/handover/timing.ts";
import type { HandoverCounts } from "./handover-counts.ts";
import { holdingsOf, isWithinShare } from "./neighbour-share.ts";
import type { PhaseClock } from "./phase-clock.ts";
import type { Body, Stage } from "./stage.ts";

export interface DestinationHandoversOptions {
  readonly stage: Stage;
  readonly counts: HandoverCounts;
  readonly clock: PhaseClock;
  readonly sendPeer: (clusterId: string, message: ToSource) => void;
  readonly sendSession: (playerId: string, message: ToSession<Body>) => void;
  /** This process; `undefined` while the master does not know it. */
  readonly self: () => ClusterRef | undefined;
  /** Whether players may come now: not while this cluster is about to stop. */
  readonly takesPlayers: () => boolean;
}

/** Reservations and arrivals at a time. Bounds what other clusters can make this one hold; each has a share of it. [HAND-17] */
export const maxDestinationHandovers = 4_096;
/** Bytes of snapshots of players that have not been put into the game, all together. The same. */
export const maxHeldBytes = 128 * 1_024 * 1_024;

/** The handovers of which this cluster is the destination. */
export class DestinationHandovers {
  readonly #options: DestinationHandoversOptions;
  readonly #states = new Map<string, DestinationState<Body>>();
  /** Bytes of the snapshots that each of them holds. */
  readonly #heldBytes = new Map<string, { readonly source: string; readonly bytes: number }>();

  constructor(options: DestinationHandoversOptions) {
    this.#options = options;
  }

  get states(): Iterable<DestinationState<Body>> {
    return this.#states.values();
  }

  get size(): number {
    return this.#states.size;
  }

  get(id: string): DestinationState<Body> | undefined {
    return this.#states.get(id);
  }

  /** A message of the source, other than the commit. */
  hearSource(from: ClusterRef, message: Exclude<ToDestination<Body>, { readonly type: "commit" }>): void {
    if (message.type === "prepare") return this.#prepare(from, message);
    const state = this.#of(from, message);
    if (state !== undefined) this.#step(state.id, { type: "source", message });
  }

  /** The commit that the source has sent. `undefined`: it is not one. [HAND-4] */
  hearCommit(
    from: ClusterRef,
    message: Extract<ToDestination<Body>, { readonly type: "commit" }>,
    claims: CommitClaims | undefined,
  ): void {
    const state = this.#of(from, message);
    if (state === undefined || claims === undefined) return;
    this.#giveWay(state);
    // There may be nobody left to come.
    if (this.#of(from, message) === undefined) return;
    this.#step(state.id, { type: "commit", claims, from: "source" });
  }

  /** A commit in a client's hands. */
  bring(claims: CommitClaims): void {
    const state = this.#states.get(claims.id);
    if (state !== undefined) this.#giveWay(state);
    this.#step(claims.id, { type: "commit", claims, from: "client" });
  }

  settled(playerId: string, generation: number): void {
    for (const { id, members } of this.#states.values()) {
      const isMeant = members.some(
        (member) => member.playerId === playerId && generationAfterCommit(member.generation) === generation,
      );
      if (isMeant) this.#step(id, { type: "settled", playerId, generation });
    }
  }

  fence(playerId: string, generation: number): void {
    for (const { id, members } of this.#states.values()) {
      if (members.some((member) => member.playerId === playerId)) {
        this.#step(id, { type: "fence", playerId, generation });
      }
    }
  }

  /** There is a new link to a cluster. */
  linkUp({ clusterId }: ClusterRef): void {
    for (const { id, source } of this.#states.values()) if (source === clusterId) this.#step(id, { type: "linkUp" });
  }

  /** Looks whose patience is at an end; to be called regularly. */
  beat(): void {
    for (const state of this.#states.values()) {
      const expiry = this.#options.clock.check(state.id, state.phase, destinationTimeout(state));
      if (expiry === "abandon") this.#options.counts.abandoned += 1;
      if (expiry !== undefined) this.#step(state.id, { type: expiry });
    }
  }

  #prepare(from: ClusterRef, message: Extract<ToDestination<Body>, { readonly type: "prepare" }>): void {
    const self = this.#options.self();
    if (self === undefined || !this.#options.takesPlayers() || !this.#hasPlaceFor(from.clusterId)) {
      this.#options.counts.refused += 1;
      return this.#options.sendPeer(from.clusterId, { type: "refused", id: message.id, reason: "full" });
    }
    // A name that is taken is a fault of the source, or a stranger's.
    if (this.#states.has(message.id)) return;
    this.#run(beginReservation<Body>(message, from.clusterId, self));
  }

  /** The handover that a source speaks of, if it is that source's; one that is not known is answered. */
  #of(from: ClusterRef, message: ToDestination<Body>): DestinationState<Body> | undefined {
    const state = this.#states.get(message.id);
    if (state?.source === from.clusterId) return state;
    const answer = answerUnknown(message);
    if (answer !== undefined) this.#options.sendPeer(from.clusterId, answer);
    return undefined;
  }

  /** Whoever is here by a newer ticket does not come by an older one, also while its session has not said anything to that yet. [HAND-1] */
  #giveWay({ id, phase, members }: DestinationState<Body>): void {
    if (phase === "active") return;
    for (const { playerId } of members) {
      const generation = this.#options.stage.newestOf(playerId);
      if (generation !== undefined) this.#step(id, { type: "fence", playerId, generation });
    }
  }

  /** Whether the copy here is of a newer session than the one that a handover has brought. */
  #isOutlived(id: string, playerId: string): boolean {
    const brought = this.#states.get(id)?.members.find((member) => member.playerId === playerId)?.generation ?? 0;
    return sessionOf(this.#options.stage.generationOf(playerId) ?? 0) > sessionOf(brought);
  }

  #step(id: string, event: DestinationEvent<Body>): void {
    const state = this.#states.get(id);
    if (state !== undefined) this.#run(stepDestination(state, event));
  }

  #run({ state, effects }: DestinationStep<Body>): void {
    if (state.phase === "ended") {
      this.#states.delete(state.id);
      this.#options.clock.forget(state.id);
    } else {
      this.#states.set(state.id, state);
      this.#options.clock.note(state.id, state.phase, destinationTimeout(state));
    }
    if (state.phase === "ended" || state.phase === "active") this.#heldBytes.delete(state.id);
    try {
      for (const effect of effects) this.#carryOut(state.id, state.source, effect);
    } finally {
      // Only now that all of a group are in: the game runs as each of them comes, and may give the places of the others away. [HAND-24]
      if (effects.some(({ type }) => type === "activate")) this.#options.stage.unreserve(state.id);
    }
  }

  #hasPlaceFor(source: string): boolean {
    const { isFirst, ...holdings } = holdingsOf(this.#states.values(), source, () => 1);
    return isWithinShare({ most: maxDestinationHandovers, ...holdings }, 1, isFirst);
  }

  /** Whether there is room for so many snapshots of a neighbour's; if so it is taken. */
  #holds(id: string, source: string, members: readonly MemberTransfer<Body>[]): boolean {
    const bytes = members.reduce((sum, { snapshot }) => sum + bytesOf(snapshot), 0);
    const { isFirst, ...holdings } = holdingsOf(this.#heldBytes.values(), source, (one) => one.bytes);
    if (!isWithinShare({ most: maxHeldBytes, ...holdings }, bytes, isFirst)) return false;
    this.#heldBytes.set(id, { source, bytes });
    return true;
  }

  #carryOut(id: string, source: string, effect: DestinationEffect<Body>): void {
    const { stage, counts, sendPeer, sendSession } = this.#options;
    switch (effect.type) {
      case "toSource":
        if (effect.message.type === "refused") counts.refused += 1;
        return sendPeer(source, effect.message);
      case "toSession":
        return sendSession(effect.playerId, effect.message);
      case "reserve": {
        const reason = stage.reserve(id, effect.members, source);
        return this.#step(id, reason === undefined ? { type: "reserved" } : { type: "notReserved", reason });
      }
      case "unreserve":
        return stage.unreserve(id);
      case "admit": {
        const reason = this.#holds(id, source, effect.members) ? stage.admit(id, effect.members) : "full";
        return this.#step(id, reason === undefined ? { type: "admitted" } : { type: "notAdmitted", reason });
      }
      case "activate":
        counts.taken += 1;
        return stage.activate(effect.playerId, effect.generation, effect.key, effect.snapshot);
      case "deliver":
        // What was held for one session is nothing to the next. [HAND-20]
        return this.#isOutlived(id, effect.playerId) ? undefined : stage.deliver(effect.playerId, effect.item);
    }
  }
}

function bytesOf({ state, streams }: Snapshot<Body>): number {
  return streams.unacknowledged.reduce((sum, frame) => sum + frame.length, state.length);
}
