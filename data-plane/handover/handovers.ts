import type { FromSession, HeldItem, ToSession } from "../../protocol/handover/messages.ts";
import type { ClusterRef, CommitClaims } from "../../protocol/handover/parties.ts";
import type { SourceState } from "../../protocol/handover/source-state.ts";
import type { DestinationState } from "../../protocol/handover/destination.ts";
import { DestinationHandovers } from "./destination-handovers.ts";
import { HandoverCounts } from "./handover-counts.ts";
import { PeerInbox, type PeerMessage } from "./peer-inbox.ts";
import { PhaseClock } from "./phase-clock.ts";
import { SourceHandovers } from "./source-handovers.ts";
import type { Body, Stage } from "./stage.ts";
import type { SourceStepTaken } from "./teleport-outcome.ts";

export interface HandoversOptions {
  readonly stage: Stage;
  readonly counts?: HandoverCounts;
  readonly nowMs: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** This process; `undefined` while the master does not know it. */
  readonly self: () => ClusterRef | undefined;
  readonly sendPeer: (clusterId: string, message: PeerMessage) => void;
  readonly sendSession: (playerId: string, message: ToSession<Body>) => void;
  /** What a token says, if its signature holds and it is for this cluster. [HAND-4] */
  readonly verify: (token: string) => Promise<CommitClaims | undefined>;
  readonly takesPlayers: () => boolean;
  /** Told of each step of a handover of which this cluster is the source, when it has had its effects. */
  readonly onStep?: (step: SourceStepTaken) => void;
}

/** All handovers of a cluster, and the way of everything that comes for them. Spec: docs/HANDOVER.md, section 12. */
export class Handovers {
  readonly counts: HandoverCounts;
  readonly #source: SourceHandovers;
  readonly #destination: DestinationHandovers;
  readonly #inbox: PeerInbox;
  readonly #verify: HandoversOptions["verify"];

  constructor(options: HandoversOptions) {
    const { stage, nowMs, random, self, sendPeer, sendSession, takesPlayers, onStep } = options;
    const { counts = new HandoverCounts() } = options;
    this.counts = counts;
    this.#verify = options.verify;
    this.#destination = new DestinationHandovers({
      stage,
      counts,
      clock: new PhaseClock(nowMs, random),
      sendPeer,
      sendSession,
      self,
      takesPlayers,
    });
    this.#source = new SourceHandovers({
      stage,
      counts,
      clock: new PhaseClock(nowMs, random),
      nowMs,
      sendPeer,
      sendSession,
      arrivals: () => this.#destination.states,
      ...(onStep === undefined ? {} : { onStep }),
    });
    this.#inbox = new PeerInbox({ verify: options.verify, deal: (...letter) => this.#deal(...letter) });
  }

  /** Handovers that are not over, as source and as destination. */
  get open(): { readonly outgoing: number; readonly incoming: number } {
    return { outgoing: this.#source.size, incoming: this.#destination.size };
  }

  /** Handovers of which the destination does not have everything yet. */
  get undelivered(): number {
    return this.#source.undelivered;
  }

  /** @returns its id, if it has begun */
  begin(playerIds: readonly string[], destination: ClusterRef): string | undefined {
    return this.#source.begin(playerIds, destination);
  }

  /** The newest handover of a player that has not ended, of which this cluster is the source. */
  newest(playerId: string): SourceState<Body> | undefined {
    return this.#source.newest(playerId);
  }

  /** The handover by which a player left here that had this generation, if it is not over. */
  outgoing(playerId: string, generation: number): SourceState<Body> | undefined {
    return this.#source.of(playerId, generation);
  }

  /** The handover of this id of which this cluster is the destination. */
  incoming(id: string): DestinationState<Body> | undefined {
    return this.#destination.get(id);
  }

  governs(playerId: string): boolean {
    return this.#source.governs(playerId);
  }

  hold(playerId: string, item: HeldItem<Body>): boolean {
    return this.#source.hold(playerId, item);
  }

  noteClient(playerId: string, type: "clientGone" | "clientBack"): void {
    this.#source.noteClient(playerId, type);
  }

  /** Somebody here does not want the player's handover any more. */
  cancel(playerId: string): void {
    this.#source.cancel(playerId);
  }

  /** This process is about to end: whoever stands still here and can be played is. */
  cancelAll(): void {
    this.#source.cancelAll();
  }

  hearPeer(from: ClusterRef, message: PeerMessage): void {
    this.#inbox.receive(from, message);
  }

  linkUp(peer: ClusterRef): void {
    this.#inbox.forget(peer.clusterId);
    this.#source.linkUp(peer);
    this.#destination.linkUp(peer);
  }

  linkDown(peer: ClusterRef): void {
    this.#inbox.forget(peer.clusterId);
    this.#source.linkDown(peer);
  }

  /**
   * Something that a player's session says. A `fence` is told to every handover; whether a copy has to go that none of them governs
   * is for the caller.
   */
  hearSession(message: FromSession<Body>): void {
    if (message.type === "settled") return this.#destination.settled(message.playerId, message.generation);
    this.#source.hearSession(message);
    if (message.type === "fence") this.#destination.fence(message.playerId, message.generation);
  }

  /** A newer session has the player, who entered here, or of whom the master has told. */
  fence(playerId: string, generation: number): void {
    this.hearSession({ type: "fence", playerId, generation });
  }

  /** A client shows a commit. Resolves when it has had its effect, with the handover that it is about, if it is good. */
  async bring(token: string): Promise<CommitClaims | undefined> {
    const claims = await this.#verify(token);
    if (claims !== undefined) this.#destination.bring(claims);
    return claims;
  }

  /** To be called regularly. */
  beat(): void {
    this.#source.beat();
    this.#destination.beat();
  }

  #deal(from: ClusterRef, message: PeerMessage, claims: CommitClaims | undefined): void {
    switch (message.type) {
      case "commit":
        return this.#destination.hearCommit(from, message, claims);
      case "prepare":
      case "transfer":
      case "forward":
      case "abort":
      case "finished":
        return this.#destination.hearSource(from, message);
      case "prepared":
      case "ready":
      case "activated":
      case "forwarded":
      case "refused":
        return this.#source.hearDestination(from, message);
    }
  }
}
