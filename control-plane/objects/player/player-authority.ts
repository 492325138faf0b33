import { generationAfterCommit } from "../../../protocol/handover/generation.ts";
import { stepSession } from "../../../protocol/handover/session.ts";
import {
  openSession,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
} from "../../../protocol/handover/session-state.ts";
import { savedFragment } from "../../domain/allocation/saved-fragment.ts";
import type { PlayerRow } from "./player-row.ts";

/** Part of the schema of a player's session. What is not here is in `session`: generation and holder are the authority there. */
export const playerAuthoritySchema = `
  CREATE TABLE handover (
    previous_generation INTEGER NOT NULL,
    rest TEXT NOT NULL,
    save TEXT,
    open_groups INTEGER NOT NULL
  ) STRICT;
  INSERT INTO handover (previous_generation, rest, open_groups) VALUES (0, '{}', 0);
  CREATE TABLE holders (cluster_id TEXT PRIMARY KEY, shard TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;

/** A player's state travels as base64: what is in it is the cluster's business, save for the fragment. */
export type Body = string;

type Rest = Pick<SessionState<Body>, "last" | "enlistment" | "waiting" | "groups">;

/** What came of a step. */
export interface AuthorityStep {
  readonly effects: readonly SessionEffect<Body>[];
  /** Who has authority since this step, where it was somebody else before, or under another generation. */
  readonly holder: { readonly clusterId: string; readonly generation: number } | undefined;
  /** What has been saved by it. */
  readonly saved: SessionState<Body>["save"];
}

/** How many clusters' shards are remembered: those of the last few sessions and handovers. */
const maxHolders = 16;

/** Who a player's newest session is with, what was saved of it, and handovers of it: docs/HANDOVER.md, section 8. */
export class PlayerAuthority {
  readonly #sql: SqlStorage;
  readonly #session: PlayerRow;
  readonly playerId: string;

  readonly #homeOf: (clusterId: string) => string | undefined;

  /** @param homeOf the shard at which a cluster registers: where it has not spoken of this player yet, it will be there */
  constructor(
    sql: SqlStorage,
    session: PlayerRow,
    playerId: string,
    homeOf: (clusterId: string) => string | undefined,
  ) {
    this.#sql = sql;
    this.#session = session;
    this.playerId = playerId;
    this.#homeOf = homeOf;
  }

  read(): SessionState<Body> {
    const session = this.#session.values;
    const row = this.#sql
      .exec<{ previous_generation: number; rest: string; save: string | null }>("SELECT * FROM handover")
      .one();
    // Written by `step`, here: they have the shapes that they had there.
    const rest: Partial<Rest> = JSON.parse(row.rest);
    const save: SessionState<Body>["save"] = row.save === null ? undefined : JSON.parse(row.save);
    return {
      ...openSession<Body>(this.playerId),
      ...rest,
      issued: session.generation,
      generation: session.authority_generation ?? 0,
      holder: session.authority_cluster ?? undefined,
      previousGeneration: row.previous_generation,
      save,
    };
  }

  /** Whether some member of a group has not confirmed a decision of this player's session. */
  get awaitsMembers(): boolean {
    return this.#session.values.open_groups > 0;
  }

  /** One step, to be called in a transaction together with whatever carries its effects. */
  step(event: SessionEvent<Body>): AuthorityStep {
    const before = this.read();
    const { state, effects } = stepSession(before, event, (body) => body.length);
    if (state !== before) this.#write(before, state);
    const { generation, holder: clusterId, save } = state;
    const isMoved = generation !== before.generation || clusterId !== before.holder;
    return {
      effects,
      holder: isMoved && clusterId !== undefined ? { clusterId, generation } : undefined,
      saved: save === before.save ? undefined : save,
    };
  }

  /** The cluster that may still play, though it has handed the player over: it has not heard so, or the destination has not acted. */
  get doubtfulSource(): string | undefined {
    const { last, generation } = this.read();
    const isOpen = last?.outcome === "committed" && generationAfterCommit(last.from) === generation;
    return isOpen ? last.source : undefined;
  }

  /** Notes at which shard a cluster is that speaks of this player: answers find it there. */
  noteShard(clusterId: string, shard: string): void {
    if (this.#knownShardOf(clusterId) === shard) return;
    this.#sql.exec("INSERT OR REPLACE INTO holders (cluster_id, shard) VALUES (?, ?)", clusterId, shard);
    // A cluster that has moved to another shard takes its players along.
    if (this.#session.values.authority_cluster === clusterId) this.#session.change({ authority_shard: shard });
    const { count } = this.#sql.exec<{ count: number }>("SELECT count(*) AS count FROM holders").one();
    if (count <= maxHolders) return;
    const { holder, last } = this.read();
    this.#sql.exec(
      "DELETE FROM holders WHERE cluster_id NOT IN (?, ?, ?)",
      clusterId,
      holder ?? clusterId,
      last?.source ?? clusterId,
    );
  }

  shardOf(clusterId: string): string | undefined {
    return this.#knownShardOf(clusterId) ?? this.#homeOf(clusterId);
  }

  #knownShardOf(clusterId: string): string | undefined {
    return this.#sql.exec<{ shard: string }>("SELECT shard FROM holders WHERE cluster_id = ?", clusterId).toArray()[0]
      ?.shard;
  }

  /**
   * The player's account is deleted: nothing of the game's is kept, and nobody has authority, nor can have it under a generation of before: whoever
   * still plays has left it, can save nothing, and is fenced.
   *
   * @param minGeneration the least that a ticket from now on can have
   */
  erase(minGeneration: number): void {
    this.#sql.exec("UPDATE handover SET previous_generation = 0, save = NULL, rest = '{}'");
    this.#session.change({
      authority_generation: minGeneration - 1,
      authority_cluster: null,
      authority_shard: null,
      saved_fragment: null,
      open_groups: 0,
    });
  }

  #write(before: SessionState<Body>, after: SessionState<Body>): void {
    const { generation, holder, previousGeneration, save, last, enlistment, waiting, groups } = after;
    if (generation !== before.generation || holder !== before.holder) {
      this.#session.change({
        authority_generation: generation,
        authority_cluster: holder ?? null,
        authority_shard: holder === undefined ? null : (this.shardOf(holder) ?? null),
      });
    }
    const rest: Rest = { last, enlistment, waiting, groups };
    this.#sql.exec("UPDATE handover SET previous_generation = ?, rest = ?", previousGeneration, JSON.stringify(rest));
    if (groups.length !== before.groups.length) this.#session.change({ open_groups: groups.length });
    if (save !== before.save) {
      this.#sql.exec("UPDATE handover SET save = ?", save === undefined ? null : JSON.stringify(save));
      const fragment = save === undefined ? null : (savedFragment(save.state) ?? null);
      if (fragment !== this.#session.values.saved_fragment) this.#session.change({ saved_fragment: fragment });
    }
  }
}
