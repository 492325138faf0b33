import { signHandoverToken } from "../../../auth/handover-token.ts";
import type { BetweenSessions, FromSession, Save, ToSession } from "../../../protocol/handover/messages.ts";
import { stepMember } from "../../../protocol/handover/session-group.ts";
import {
  claimsOf,
  openSession,
  type SessionEffect,
  type SessionEvent,
} from "../../../protocol/handover/session-state.ts";
import type { FenceOrder } from "../../domain/players/authority.ts";
import type { SaveRecord } from "../../domain/store-record.ts";
import { failpoint } from "../../failpoint.ts";
import { readMasterSettings } from "../../settings.ts";
import { deliverHandoverMessage, type HandoverMessage } from "./handover-message.ts";
import type { Body, PlayerAuthority } from "./player-authority.ts";
import type { PlayerTables } from "./player-tables.ts";
import { currentSigningKey } from "../key/signing-key.ts";

/** The cluster that speaks, as its session token says, and the shard that it is on. */
export interface ConsultingCluster {
  readonly clusterId: string;
  readonly shard: string;
}

export interface PlayerConsultParts {
  readonly env: Env;
  readonly tables: PlayerTables;
  readonly authority: PlayerAuthority;
  /** Whether tickets of this generation have been revoked. */
  readonly isRevoked: (generation: number) => boolean;
  /** Has a cluster told that its player has to go, once more. */
  readonly orderAgain: (place: {
    readonly playerId: string;
    readonly clusterId: string;
    readonly shard: string;
  }) => void;
  readonly put: (target: string, message: HandoverMessage | (FenceOrder & { readonly playerId: string })) => void;
  /** Whether something that was put for this target has not arrived. */
  readonly isWaitingFor: (target: string) => boolean;
}

/**
 * What the session of a player of whom nobody knows answers another member of a group: that it has decided
 * nothing. Nothing of it is stored here; who has asked asks again until it is answered. Otherwise a cluster could bind a player to nobody, for good.
 */
export async function answerAsStranger(env: Env, playerId: string, question: BetweenSessions<Body>): Promise<void> {
  for (const effect of stepMember(openSession<Body>(playerId), question).effects) {
    if (effect.type !== "toMember") continue;
    await deliverHandoverMessage(env, effect.playerId, { kind: "member", message: effect.message });
  }
}

/** How soon to say again what the members of a group have not confirmed. */
const repeatMs = 30_000;

type Commit = Extract<ToSession<Body>, { readonly type: "commit" }>;

/**
 * What clusters ask a player's session about authority and saves: docs/HANDOVER.md, section 8. Each step and the messages that it causes become
 * durable together; what is answered leaves after that.
 */
export class PlayerConsult {
  readonly #parts: PlayerConsultParts;
  /** When members of groups were told something last, as far as this object remembers. */
  #toldAtMs = 0;

  constructor(parts: PlayerConsultParts) {
    this.#parts = parts;
  }

  /** Answers a cluster. Empty where the answer has to wait for another member's session: then it comes over the link. */
  async answer(
    from: ConsultingCluster,
    playerId: string,
    message: ToSession<Body>,
  ): Promise<readonly FromSession<Body>[]> {
    if (message.type === "commit") {
      const self = message.members.find((member) => member.playerId === playerId);
      const isRevoked = (): boolean => self !== undefined && this.#parts.isRevoked(self.generation);
      if (isRevoked()) return [{ type: "commitRefused", id: message.id }];
      // Signed before it is decided: the token leaves only if the commit holds. [HAND-4]
      const token = await this.#sign(from.clusterId, message);
      failpoint("handover.signed");
      // Also one that came while it was being signed. [SEC-72]
      if (isRevoked()) return [{ type: "commitRefused", id: message.id }];
      return this.#step(from, playerId, { type: "commit", clusterId: from.clusterId, message, token });
    }
    if (message.type === "enter" && !this.#mayEnter(from, message.generation)) {
      return [{ type: "superseded", playerId, generation: message.generation }];
    }
    if (message.type === "enlist" && this.#parts.isRevoked(message.generation)) {
      return [{ type: "enlistRefused", id: message.id, playerId }];
    }
    return this.#step(from, playerId, { type: "request", clusterId: from.clusterId, message });
  }

  /** A cluster's report says that a ticket was used there. [HAND-3] */
  enter(from: ConsultingCluster, playerId: string, generation: number): void {
    const { tables, authority, put } = this.#parts;
    const message = { type: "enter", generation } as const;
    for (const answer of this.#step(from, playerId, { type: "request", clusterId: from.clusterId, message })) {
      // Whoever asked by a report hears no answers: one that came too late is fenced instead.
      if (answer.type !== "superseded") continue;
      const { holder, generation: newest } = authority.read();
      // Where the newest is as well, its cluster has dealt with the older one: a fence of that very generation would say that another has it.
      if (holder === from.clusterId) continue;
      const order = { shard: from.shard, clusterId: from.clusterId, generation: newest, playerId };
      tables.atomically(() => put(from.shard, order));
    }
  }

  /** A cluster has moved to another shard with its players. */
  noteShard(clusterId: string, shard: string): void {
    this.#parts.authority.noteShard(clusterId, shard);
  }

  /** Another member of a group has a question, or an answer. [HAND-11] */
  hearMember(playerId: string, message: BetweenSessions<Body>): void {
    this.#step(undefined, playerId, { type: "member", message });
  }

  /** Says once more what members of a group have not confirmed for a while, and have been told: what is still on its way comes by itself. */
  repeat(nowMs: number): void {
    const { tables, authority, isWaitingFor } = this.#parts;
    if (!authority.awaitsMembers || nowMs - this.#toldAtMs < repeatMs) return;
    tables.atomically(() => {
      for (const effect of authority.step({ type: "timeout" }).effects) {
        if (effect.type === "toMember" && !isWaitingFor(effect.playerId)) this.#pass(authority.playerId, effect);
      }
    });
    this.#toldAtMs = nowMs;
  }

  /** The player's account is deleted: part of that transaction. */
  erase(minGeneration: number): void {
    this.#parts.authority.erase(minGeneration);
  }

  /** A cluster that may still play the player, though another has authority. */
  get doubtfulSource(): { readonly clusterId: string; readonly shard: string } | undefined {
    const { authority } = this.#parts;
    const clusterId = authority.doubtfulSource;
    const shard = clusterId === undefined ? undefined : authority.shardOf(clusterId);
    return clusterId === undefined || shard === undefined ? undefined : { clusterId, shard };
  }

  /** When to {@link repeat} what members of a group have not confirmed; `undefined` where they all have. */
  repeatAtMs(nowMs: number): number | undefined {
    return this.#parts.authority.awaitsMembers ? Math.max(nowMs, this.#toldAtMs + repeatMs) : undefined;
  }

  /** Nobody enters without a ticket that this player was given for that very cluster. [SEC-44] */
  #mayEnter({ clusterId }: ConsultingCluster, generation: number): boolean {
    const { tables, authority, isRevoked } = this.#parts;
    if (isRevoked(generation)) return false;
    const state = authority.read();
    if (state.generation === generation && state.holder === clusterId) return true;
    return tables.operations().some((one) => one.generation === generation && one.clusterId === clusterId);
  }

  async #sign(clusterId: string, message: Commit): Promise<string> {
    const { env } = this.#parts;
    const issued = { issuer: readMasterSettings(env).masterUrl, now: Math.floor(Date.now() / 1_000) };
    const signingKey = await currentSigningKey(env, Date.now());
    return signHandoverToken(claimsOf(clusterId, message), issued, signingKey);
  }

  #step(
    from: ConsultingCluster | undefined,
    playerId: string,
    event: SessionEvent<Body>,
  ): readonly FromSession<Body>[] {
    const { tables, authority } = this.#parts;
    return tables.atomically(() => {
      if (from !== undefined) authority.noteShard(from.clusterId, from.shard);
      const { effects, holder, saved } = authority.step(event);
      if (saved !== undefined) this.#record(playerId, saved);
      if (holder !== undefined && this.#parts.isRevoked(holder.generation))
        this.#orderAgain(playerId, holder.clusterId);
      const answers: FromSession<Body>[] = [];
      for (const effect of effects) {
        if (effect.type === "toCluster" && effect.clusterId === from?.clusterId) answers.push(effect.message);
        else this.#pass(playerId, effect);
      }
      return answers;
    });
  }

  /** Whoever the player has to leave was told before, and is not who has it now. [SEC-72] */
  #orderAgain(playerId: string, clusterId: string): void {
    const shard = this.#parts.authority.shardOf(clusterId);
    if (shard !== undefined) this.#parts.orderAgain({ playerId, clusterId, shard });
  }

  /** Everything that is saved reaches the database of record, later. [HAND-8] */
  #record(playerId: string, { generation, version, state }: Save<Body>): void {
    const record: SaveRecord = { kind: "save", playerId, generation, version, state, atMs: Date.now() };
    this.#parts.put(playerId, { kind: "save", record });
  }

  #pass(playerId: string, effect: SessionEffect<Body>): void {
    const { put } = this.#parts;
    if (effect.type === "toMember") {
      this.#toldAtMs = Date.now();
      return put(effect.playerId, { kind: "member", message: effect.message });
    }
    const { clusterId, message } = effect;
    const shard = this.#parts.authority.shardOf(clusterId);
    if (shard === undefined) return;
    // A fence is repeated until the cluster has obeyed.
    if (message.type === "fence") put(shard, { shard, clusterId, generation: message.generation, playerId });
    else put(shard, { kind: "tell", clusterId, playerId, message });
  }
}
