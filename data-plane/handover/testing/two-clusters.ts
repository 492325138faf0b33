import { nextSessionGeneration } from "../../../protocol/handover/generation.ts";
import type { FromSession, HeldItem, ToSession } from "../../../protocol/handover/messages.ts";
import type { ClusterRef, CommitClaims } from "../../../protocol/handover/parties.ts";
import { stepSession } from "../../../protocol/handover/session.ts";
import { claimsOf, openSession, type SessionState } from "../../../protocol/handover/session-state.ts";
import { Handovers } from "../handovers.ts";
import type { PeerMessage } from "../peer-inbox.ts";
import type { Body } from "../stage.ts";
import { bytesOf, StageCopies } from "./stage-copies.ts";

/** A cluster in this process: its handovers over a {@link StageCopies}. */
export class TestParty {
  readonly stage = new StageCopies();
  readonly handovers: Handovers;
  ref: ClusterRef;

  constructor(clusterId: string, world: TwoClusters) {
    this.ref = { clusterId, boot: 1 };
    this.handovers = new Handovers({
      stage: this.stage,
      nowMs: () => world.nowMs,
      random: () => 0.5,
      self: () => this.ref,
      sendPeer: (_to, message) => world.sendPeer(this, message),
      sendSession: (playerId, message) => world.sendSession(clusterId, playerId, message),
      verify: async (token) => world.readToken(token),
      takesPlayers: () => true,
    });
  }

  /** Something for a player here: to the handover that holds it, or to the game. */
  give(playerId: string, item: HeldItem<Body>): void {
    if (!this.handovers.hold(playerId, item)) this.stage.deliver(playerId, item);
  }

  input(playerId: string, sequence: number): void {
    this.give(playerId, { kind: "input", sequence, body: bytesOf(String(sequence)) });
  }
}

/** Two clusters, an ordered link between them, and a `PlayerSession` of the production's steps. Nothing arrives by itself. */
export class TwoClusters {
  nowMs = 0;
  readonly a = new TestParty("a", this);
  readonly b = new TestParty("b", this);
  /** Whether the master answers. */
  masterUp = true;
  isLinked = true;
  readonly posted: ToSession<Body>[] = [];
  #sessions = new Map<string, SessionState<Body>>();
  #toPeer: { readonly from: TestParty; readonly message: PeerMessage }[] = [];
  #toCluster: { readonly to: TestParty; readonly message: FromSession<Body> }[] = [];

  /** A player joins at `a` with a ticket. */
  join(playerId: string): number {
    const generation = nextSessionGeneration(0);
    const state = { ...openSession<Body>(playerId), issued: generation };
    const event = { type: "request", clusterId: "a", message: { type: "enter", generation } } as const;
    this.#sessions.set(playerId, stepSession(state, event).state);
    this.a.stage.enter(playerId, generation);
    return generation;
  }

  session(playerId: string): SessionState<Body> {
    return this.#sessions.get(playerId) ?? openSession(playerId);
  }

  sendPeer(from: TestParty, message: PeerMessage): void {
    if (this.isLinked) this.#toPeer.push({ from, message });
  }

  sendSession(clusterId: string, playerId: string, message: ToSession<Body>): void {
    this.posted.push(message);
    if (!this.masterUp) return;
    const state = this.session(playerId);
    const step =
      message.type === "commit"
        ? stepSession(state, {
            type: "commit",
            clusterId,
            message,
            token: JSON.stringify(claimsOf(clusterId, message)),
          })
        : stepSession(state, { type: "request", clusterId, message });
    this.#sessions.set(playerId, step.state);
    for (const effect of step.effects) {
      if (effect.type === "toCluster")
        this.#toCluster.push({ to: this.#party(effect.clusterId), message: effect.message });
    }
  }

  readToken(token: string): CommitClaims | undefined {
    try {
      // Written by the session above.
      const claims: CommitClaims = JSON.parse(token);
      return claims;
    } catch {
      return undefined;
    }
  }

  /** What is on its way, the master's answers first. */
  get waiting(): readonly string[] {
    return [...this.#toCluster, ...this.#toPeer].map(({ message }) => message.type);
  }

  /** Delivers the next message. @returns its type */
  async deliver(): Promise<string | undefined> {
    const answer = this.#toCluster.shift();
    if (answer !== undefined) {
      answer.to.handovers.hearSession(answer.message);
      return answer.message.type;
    }
    const letter = this.#toPeer.shift();
    if (letter === undefined) return undefined;
    const { from, message } = letter;
    const to = from === this.a ? this.b : this.a;
    to.handovers.hearPeer(from.ref, message);
    // Signatures are checked in a few turns of their own.
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    return message.type;
  }

  /** Delivers until nothing is left, or until this has been delivered; ticks end in between. */
  async run(until?: string): Promise<void> {
    for (let count = 0; count < 1_000; count += 1) {
      const type = await this.deliver();
      if (type !== undefined && type === until) return;
      this.a.stage.endTick();
      this.b.stage.endTick();
      if (type === undefined && this.waiting.length === 0) return;
    }
    throw new Error("there is no end to it");
  }

  /** The link breaks; what was on its way is lost. */
  breakLink(): void {
    this.isLinked = false;
    this.#toPeer = [];
    this.a.handovers.linkDown(this.b.ref);
    this.b.handovers.linkDown(this.a.ref);
  }

  link(): void {
    this.isLinked = true;
    this.a.handovers.linkUp(this.b.ref);
    this.b.handovers.linkUp(this.a.ref);
  }

  /** Time passes, in steps that no patience is shorter than. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 250) {
      this.nowMs += Math.min(250, left);
      this.a.handovers.beat();
      this.b.handovers.beat();
      await this.run();
    }
  }

  #party(clusterId: string): TestParty {
    return clusterId === "a" ? this.a : this.b;
  }
}
