import { verifyHandoverToken } from "../../auth/handover-token.ts";
import { PublicKeySet } from "../../auth/key-set.ts";
import { type PeerTicket, verifyPeerTicket } from "../../auth/peer-ticket.ts";
import type { TicketKeyResolver, TicketVerdict } from "../../auth/ticket.ts";
import type { CommitClaims } from "../../protocol/handover/parties.ts";
import { type Hello, limits } from "../../protocol/index.ts";
import type { Clock } from "../clock.ts";
import { GivenBackTickets } from "./given-back.ts";
import { HeldBoots } from "./held-boots.ts";
import type { Registration } from "./master-answers.ts";
import { verifyForBoots } from "./ticket-verifier.ts";

export interface TicketDeskOptions {
  /** Gets the master's published key set; needs a deadline of its own. */
  readonly fetchKeys: () => Promise<unknown>;
  readonly onKeySetError: (error: unknown) => void;
  readonly clock: Clock;
  readonly maxLifetimeSeconds: number;
  /** How long a ticket can be usable after its boot epoch has ended. */
  readonly ticketLifetimeMs: number;
}

const clockSkewMs = 2 * limits.clockSkewMs;
/** A ticket that lives longer than this is refused anyway. */
const longestMs = 600_000;
const keySetMaxAgeMs = 600_000;
const keySetRefetchIntervalMs = 5_000;

/** Knows what a good ticket looks like: learns it with each registration, and checks tickets without asking the master. */
export class TicketDesk {
  readonly #options: TicketDeskOptions;
  readonly #boots: HeldBoots;
  readonly #keySet: PublicKeySet;
  readonly #givenBack: GivenBackTickets;
  #registration: Registration | undefined;

  constructor(options: TicketDeskOptions) {
    this.#options = options;
    const { monotonicMs } = options.clock;
    this.#givenBack = new GivenBackTickets(monotonicMs);
    this.#boots = new HeldBoots(options.ticketLifetimeMs, monotonicMs);
    this.#keySet = new PublicKeySet({
      fetchKeys: options.fetchKeys,
      algorithms: ["ES256"],
      refetchIntervalMs: keySetRefetchIntervalMs,
      maxAgeMs: keySetMaxAgeMs,
      now: monotonicMs,
      onError: options.onKeySetError,
    });
  }

  /** From now on tickets of this registration are good, and those of earlier ones until they expire. */
  async learn(registration: Registration): Promise<void> {
    await this.#keySet.install(registration.jwks);
    this.#boots.add(registration.boot);
    this.#registration = registration;
  }

  /**
   * The published set is another, and `revoked` are worth nothing from now on, whatever a fetch says.
   *
   * @returns whether the new set has come
   */
  async changeKeys(revoked: readonly string[]): Promise<boolean> {
    this.#keySet.revoke(revoked);
    return this.#keySet.refresh();
  }

  /**
   * The seat of this ticket was given back: it joins no more. Returns false where that cannot be promised.
   *
   * @param expiresAt when the ticket ends by itself, in seconds since 1970
   */
  cancel(reservationId: string, expiresAt: number): boolean {
    const lastsMs = expiresAt * 1_000 - this.#options.clock.wallMs() + clockSkewMs;
    return this.#givenBack.refuse(reservationId, Math.min(lastsMs, longestMs));
  }

  /** What a signed commit says, if it is the master's and for this cluster; for which process it says itself. [HAND-4] */
  async verifyHandover(token: string): Promise<CommitClaims | undefined> {
    if (this.#registration === undefined) return undefined;
    const { issuer, clusterId } = this.#registration;
    const now = this.#options.clock.wallMs() / 1_000;
    const verdict = await verifyHandoverToken(token, (kid) => this.#keySet.resolve(kid), { issuer, clusterId, now });
    return verdict.ok ? verdict.claims : undefined;
  }

  /** The checks [TICKET-1] to [TICKET-7]; `undefined` before the first registration: then nobody can tell. */
  async verify(ticket: string, hello: Hello): Promise<TicketVerdict | undefined> {
    if (this.#registration === undefined) return undefined;
    const { issuer, clusterId, game } = this.#registration;
    const verdict = await verifyForBoots(
      ticket,
      hello,
      { issuer, clusterId, game, boots: this.#boots.list() },
      (kid) => this.#keySet.resolve(kid),
      { maxLifetimeSeconds: this.#options.maxLifetimeSeconds, now: this.#options.clock.wallMs() / 1_000 },
    );
    if (!verdict.ok || this.#givenBack.admit(verdict.claims.rsv)) return verdict;
    return { ok: false, silent: false, fault: "EXPIRED", detail: "its seat was given back" };
  }

  /** Whether another cluster of this world may open a link to this process; `undefined` when it may not. [PEER-3] */
  async verifyPeer(ticket: string, world: string): Promise<PeerTicket | undefined> {
    if (this.#registration === undefined) return undefined;
    const { issuer, clusterId } = this.#registration;
    const resolveKey: TicketKeyResolver = (kid) => this.#keySet.resolve(kid);
    // One made for an epoch that a repeated registration has ended means this process all the same.
    for (const boot of this.#boots.list()) {
      const expected = { issuer, clusterId, boot, world, now: this.#options.clock.wallMs() / 1_000 };
      const verdict = await verifyPeerTicket(ticket, resolveKey, expected);
      if (verdict.ok) return verdict.ticket;
    }
    return undefined;
  }
}
