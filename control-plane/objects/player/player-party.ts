import { type PartyMember, refuseParty } from "../../domain/parties/party.ts";
import { toBase64Url } from "../../domain/clusters/sharding.ts";
import { failpoint } from "../../failpoint.ts";
import { readLimits } from "../../limit-settings.ts";
import { objectCallTimeoutMs, withDeadline } from "../deadline.ts";
import type { PartyViewAnswer } from "../party/party.ts";
import type { Outbox } from "../outbox.ts";
import type { PlayerCosts } from "./player-costs.ts";
import type { PlayerMessage } from "./player-message.ts";
import type { PlayerTables } from "./player-tables.ts";
import { refuse, type Refusal } from "../refusal.ts";
import { partyObject } from "../remote.ts";

/** What the leader's request for seats counts as: a new one, or one more try. */
const partyCosts = { begin: ["allocatePerPlayer", "allocationsPerHour"], again: ["allocatePerPlayer"] } as const;

/** After this a call counts as lost, and another may begin. */
const enteringTimeoutMs = 30_000;

export interface PlayerPartyParts {
  readonly env: Env;
  readonly tables: PlayerTables;
  readonly costs: PlayerCosts;
  readonly outbox: Outbox<PlayerMessage>;
  /** Has what was put into the outbox go out. */
  readonly settle: () => Promise<void>;
}

/**
 * The one party that a player is in. Which one is noted here before that one is asked, and what is noted counts only if the party
 * agrees: so neither has to tell the other when the player leaves, or the party ends.
 */
export class PlayerParty {
  readonly #env: Env;
  readonly #tables: PlayerTables;
  readonly #costs: PlayerCosts;
  readonly #outbox: Outbox<PlayerMessage>;
  readonly #settle: () => Promise<void>;
  #enteringSinceMs: number | undefined;

  constructor({ env, tables, costs, outbox, settle }: PlayerPartyParts) {
    this.#env = env;
    this.#tables = tables;
    this.#costs = costs;
    this.#outbox = outbox;
    this.#settle = settle;
  }

  /** @param refusal why the player may be in no party now; asked again after each wait */
  async create(member: PartyMember, size: number, refusal: () => Refusal | undefined): Promise<PartyViewAnswer> {
    return this.#enter(member, undefined, refusal, async (id) => partyObject(this.#env, id).create(id, member, size));
  }

  async join(member: PartyMember, id: string, refusal: () => Refusal | undefined): Promise<PartyViewAnswer> {
    return this.#enter(member, id, refusal, async () => partyObject(this.#env, id).join(member));
  }

  /** @param allocationKey where seats are asked for: another key than the one before is another allocation, and costs as one */
  use(id: string, allocationKey: string | undefined): { readonly ok: true } | Refusal {
    if (this.#tables.party() !== id) return refuseParty("PARTY_NOT_FOUND");
    if (allocationKey === undefined) return { ok: true };
    const costs = allocationKey === this.#tables.partyKey() ? partyCosts.again : partyCosts.begin;
    const cost = this.#costs.spend(costs, readLimits(this.#env), Date.now());
    if (cost.allowed) {
      this.#tables.setPartyKey(allocationKey);
      return { ok: true };
    }
    return refuse("RATE_LIMITED", "Too many allocations. Wait before the next one.", cost.retryAfterSeconds);
  }

  async #enter(
    member: PartyMember,
    wanted: string | undefined,
    refusal: () => Refusal | undefined,
    enter: (id: string) => Promise<PartyViewAnswer>,
  ): Promise<PartyViewAnswer> {
    const nowMs = Date.now();
    if (nowMs - (this.#enteringSinceMs ?? 0) < enteringTimeoutMs) {
      return refuse("PARTY_BUSY", "This player enters a party right now. Repeat the request.", 1);
    }
    this.#enteringSinceMs = nowMs;
    try {
      const cost = this.#costs.spend(["partiesPerHour"], readLimits(this.#env), nowMs);
      if (!cost.allowed) {
        return refuse("RATE_LIMITED", "Too many parties. Wait before the next one.", cost.retryAfterSeconds);
      }
      const current = this.#tables.party();
      if (current !== undefined && current !== wanted) {
        const asked = partyObject(this.#env, current).view(member.playerId);
        const known = await withDeadline(asked, objectCallTimeoutMs, "the party");
        // The answer to the call that made it was lost.
        if (known.ok && wanted === undefined && known.view.leaderId === member.playerId) return known;
        if (known.ok) return refuse("IN_ANOTHER_PARTY", `You are in the party ${current}. Leave it first.`);
      }
      // Whoever was banned meanwhile was told to leave the party before, not this one. [PARTY-7]
      const refused = refusal();
      if (refused !== undefined) return refused;
      const id = wanted ?? toBase64Url(crypto.getRandomValues(new Uint8Array(16)));
      if (this.#outbox.isWaitingFor(id)) {
        // It would be heard after this, and take effect on it.
        return refuse("PARTY_BUSY", "That this player leaves the party is not told yet. Repeat the request.", 1);
      }
      this.#tables.setParty(id);
      failpoint("party.noted");
      try {
        const answer = await withDeadline(enter(id), objectCallTimeoutMs, "the party");
        return refusal() ?? answer;
      } finally {
        // A ban that came meanwhile has told this party, too, which may have heard it before it heard of the member.
        if (refusal() !== undefined) {
          this.#outbox.put(id, { kind: "quit", playerId: member.playerId });
          await this.#settle();
        }
      }
    } finally {
      this.#enteringSinceMs = undefined;
    }
  }
}
