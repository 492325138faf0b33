import { randomBytes } from "node:crypto";
import { canStep } from "../../protocol/handover/generation.ts";
import type { FromSession, HeldItem, ToDestination, ToSession, ToSource } from "../../protocol/handover/messages.ts";
import { type ClusterRef, maxMembers } from "../../protocol/handover/parties.ts";
import type { DestinationState } from "../../protocol/handover/destination.ts";
import { answerForgotten, beginHandover, stepSource } from "../../protocol/handover/source.ts";
import {
  governsCopy,
  handoverHolding,
  isDelivered,
  newestHandover,
  type SourceEffect,
  type SourceEvent,
  type SourceState,
  type SourceStep,
} from "../../protocol/handover/source-state.ts";
import { sourceTimeout } from "../../protocol/handover/timing.ts";
import type { HandoverCounts } from "./handover-counts.ts";
import type { PhaseClock } from "./phase-clock.ts";
import type { Body, Stage } from "./stage.ts";
import type { SourceStepTaken } from "./teleport-outcome.ts";

export interface SourceHandoversOptions {
  readonly stage: Stage;
  readonly counts: HandoverCounts;
  readonly clock: PhaseClock;
  readonly nowMs: () => number;
  /** Says something to another cluster, if there is a link. */
  readonly sendPeer: (clusterId: string, message: ToDestination<Body>) => void;
  readonly sendSession: (playerId: string, message: ToSession<Body>) => void;
  /** The handovers of which this cluster is the destination: they say how long a source has to remember. */
  readonly arrivals: () => Iterable<DestinationState<Body>>;
  /** Told of each step of a handover, when it has had its effects. */
  readonly onStep?: (step: SourceStepTaken) => void;
}

/** What a client that connects ahead waits in. */
const announced: ReadonlySet<SourceState<Body>["phase"]> = new Set(["freezing", "transferring", "committing"]);

/** Handovers at a time. Bounds what is remembered. */
export const maxSourceHandovers = 4_096;

/** The handovers of which this cluster is the source: gives events to the machine, and carries out what it decides. */
export class SourceHandovers {
  readonly #options: SourceHandoversOptions;
  readonly #states = new Map<string, SourceState<Body>>();
  /** When a handover's players were frozen. */
  readonly #frozenAtMs = new Map<string, number>();

  constructor(options: SourceHandoversOptions) {
    this.#options = options;
  }

  get states(): Iterable<SourceState<Body>> {
    return this.#states.values();
  }

  get size(): number {
    return this.#states.size;
  }

  get undelivered(): number {
    let count = 0;
    for (const state of this.#states.values()) if (!isDelivered(state)) count += 1;
    return count;
  }

  /**
   * Begins to hand players over who must stay together. The link to the destination is up.
   *
   * @returns its id, if it has begun: not for players that are not here, are being handed over already, whose generation cannot step, or where it is over already
   */
  begin(playerIds: readonly string[], destination: ClusterRef): string | undefined {
    const { stage, counts } = this.#options;
    if (this.#states.size >= maxSourceHandovers || playerIds.length < 1 || playerIds.length > maxMembers)
      return undefined;
    const candidates = playerIds.flatMap((playerId) => {
      const generation = stage.generationOf(playerId);
      if (generation === undefined || !canStep(generation) || this.newest(playerId) !== undefined) return [];
      const key = randomBytes(16).toString("hex");
      return { playerId, generation, key, clientHere: stage.isConnected(playerId) };
    });
    if (candidates.length < playerIds.length) return undefined;
    counts.begun += 1;
    const id = randomBytes(16).toString("hex");
    this.#run(beginHandover<Body>(id, destination, candidates));
    // The link may have broken under its first word: then it is over, and nothing will be heard of it.
    return this.#states.has(id) ? id : undefined;
  }

  /** The newest handover of a player that has not ended. */
  newest(playerId: string): SourceState<Body> | undefined {
    return newestHandover(this.#states.values(), playerId, this.#options.stage.generationOf(playerId));
  }

  /** The handover of a player that began from this generation. */
  of(playerId: string, generation: number): SourceState<Body> | undefined {
    for (const state of this.#states.values()) {
      if (state.members.some((one) => one.playerId === playerId && one.generation === generation)) return state;
    }
    return undefined;
  }

  /** The handover that takes what comes for a player, if not the game. [HAND-7] */
  holding(playerId: string): SourceState<Body> | undefined {
    return handoverHolding(this.#states.values(), playerId, this.#options.stage.generationOf(playerId));
  }

  /** Whether a handover decides about the player's copy: then nothing is saved, and a fence is the handover's to understand. [HAND-8] */
  governs(playerId: string): boolean {
    for (const state of this.#states.values()) if (governsCopy(state, playerId)) return true;
    return false;
  }

  /** Something for a player that a handover holds. @returns whether one does */
  hold(playerId: string, item: HeldItem<Body>): boolean {
    const state = this.holding(playerId);
    if (state === undefined) return false;
    this.#step(state.id, { type: "item", playerId, item });
    return true;
  }

  /** The player's client has gone from this side, or has come back to it. */
  noteClient(playerId: string, type: "clientGone" | "clientBack"): void {
    const state = this.newest(playerId);
    if (state !== undefined) this.#step(state.id, { type, playerId });
  }

  /** What is frozen here is the newest that there is: it is played, so that the player's own new ticket finds it. */
  cancel(playerId: string): void {
    for (const { id, members } of this.#states.values()) {
      if (members.some((member) => member.playerId === playerId)) this.#step(id, { type: "cancel" });
    }
  }

  cancelAll(): void {
    for (const id of this.#states.keys()) this.#step(id, { type: "cancel" });
  }

  hearDestination(from: ClusterRef, message: ToSource): void {
    const state = this.#states.get(message.id);
    if (state?.destination.clusterId === from.clusterId) {
      this.#step(message.id, { type: "destination", message });
      return;
    }
    const answer = state === undefined ? answerForgotten<Body>(message) : undefined;
    if (answer?.type === "toDestination") this.#options.sendPeer(from.clusterId, answer.message);
  }

  /** The answer of a player's session to something that was asked here. */
  hearSession(message: FromSession<Body>): void {
    switch (message.type) {
      case "enlisted":
      case "enlistRefused":
      case "committed":
      case "commitRefused":
        return this.#step(message.id, { type: "session", message });
      case "aborted":
      case "superseded": {
        const { playerId, generation } = message;
        for (const { id, members } of this.#states.values()) {
          if (members.some((member) => member.playerId === playerId && member.generation === generation)) {
            this.#step(id, { type: "session", message });
          }
        }
        return;
      }
      case "fence":
        for (const id of this.#states.keys()) this.#step(id, { type: "session", message });
        return;
      case "entered":
      case "saved":
      case "saveLater":
      case "settled":
        return;
    }
  }

  linkUp({ clusterId, boot }: ClusterRef): void {
    this.#eachTo(clusterId, { type: "linkUp", boot });
  }

  linkDown({ clusterId }: ClusterRef): void {
    this.#eachTo(clusterId, { type: "linkDown" });
  }

  /** Looks whose patience is at an end; to be called regularly. */
  beat(): void {
    const { clock, arrivals } = this.#options;
    for (const state of this.#states.values()) {
      const expiry = clock.check(state.id, state.phase, sourceTimeout(state, arrivals()));
      if (expiry === "abandon") this.#options.counts.abandoned += 1;
      if (expiry !== undefined) this.#step(state.id, { type: expiry });
    }
  }

  #eachTo(clusterId: string, event: SourceEvent<Body>): void {
    for (const { id, destination } of this.#states.values()) {
      if (destination.clusterId === clusterId) this.#step(id, event);
    }
  }

  #step(id: string, event: SourceEvent<Body>): void {
    const before = this.#states.get(id);
    if (before === undefined) return;
    const step = stepSource(before, event);
    this.#run(step, before);
    this.#options.onStep?.({ before, event, after: step.state });
  }

  #run({ state, effects }: SourceStep<Body>, before?: SourceState<Body>): void {
    const { clock, arrivals } = this.#options;
    if (state.phase === "ended") {
      this.#states.delete(state.id);
      clock.forget(state.id);
    } else {
      this.#states.set(state.id, state);
      clock.note(state.id, state.phase, sourceTimeout(state, arrivals()));
    }
    this.#count(state, before);
    this.#hint(state, before);
    for (const effect of effects) this.#carryOut(state.id, state.destination, effect);
    if (state.phase === "ended") this.#frozenAtMs.delete(state.id);
  }

  #carryOut(id: string, destination: ClusterRef, effect: SourceEffect<Body>): void {
    const { stage, sendPeer, sendSession } = this.#options;
    switch (effect.type) {
      case "toDestination":
        return sendPeer(destination.clusterId, effect.message);
      case "toSession":
        return sendSession(effect.playerId, effect.message);
      case "toClient":
        return stage.tellClient(effect.playerId, effect.message);
      case "freeze":
        return stage.freeze(effect.playerIds, (snapshots) => this.#frozen(id, snapshots));
      case "depart":
        return stage.depart(effect.playerId);
      case "play":
        this.#noteStandstill(id);
        return stage.play(effect.playerId, effect.generation, effect.items);
      case "adopt":
        return stage.adopt(effect.playerId, effect.from, effect.generation);
      case "drop":
        return stage.drop(effect.playerId, effect.generation, effect.outcome);
    }
  }

  #frozen(id: string, snapshots: Parameters<Parameters<Stage["freeze"]>[1]>[0]): void {
    if (this.#states.has(id)) {
      this.#frozenAtMs.set(id, this.#options.nowMs());
      return this.#step(id, { type: "frozen", snapshots });
    }
    // It was given up while the tick ran: nobody else will play them.
    for (const playerId of Object.keys(snapshots)) {
      this.#options.stage.play(playerId, this.#options.stage.generationOf(playerId) ?? 0, []);
    }
  }

  #count(state: SourceState<Body>, before: SourceState<Body> | undefined): void {
    const { counts } = this.#options;
    if (state.phase === before?.phase && state.members === before.members) return;
    if (state.phase === "doubt" && before?.phase !== "doubt") counts.doubtful += 1;
    if (state.phase === "reclaiming" && before?.phase !== "reclaiming") counts.reclaimed += 1;
    if (state.activated && before?.activated === false) this.#noteStandstill(state.id);
    for (const [index, { outcome }] of state.members.entries()) {
      if (outcome === undefined || before?.members[index]?.outcome !== undefined) continue;
      counts[outcome] += 1;
    }
  }

  /** The clients are told where they may be sent once all have agreed, and when that comes to nothing. Decides nothing. [AHEAD-5] */
  #hint({ id, phase, members, destination }: SourceState<Body>, before: SourceState<Body> | undefined): void {
    if (phase === before?.phase) return;
    const { stage } = this.#options;
    const wasAnnounced = before !== undefined && announced.has(before.phase);
    for (const { playerId, clientHere } of members) {
      if (phase === "freezing" && clientHere) stage.announce(playerId, id, destination);
      if (wasAnnounced && (phase === "ended" || phase === "doubt")) stage.callOff(playerId, id);
    }
  }

  #noteStandstill(id: string): void {
    const frozenAtMs = this.#frozenAtMs.get(id);
    if (frozenAtMs === undefined) return;
    this.#frozenAtMs.delete(id);
    this.#options.counts.standstill.observe((this.#options.nowMs() - frozenAtMs) / 1_000);
  }
}
