import type { AllocateRequest, CreateParty, PartyHeld, PartyView } from "../../protocol/index.ts";
import { parseParty, parsePartyHeld } from "./answers.ts";
import { type AllocationContext, keepAsking, type WaitOptions } from "./asking.ts";
import type { MasterRequest } from "./master-http.ts";

/**
 * Parties: players who want to be on one cluster together. The leader makes one and hands `id` and `code` to friends, who join by
 * themselves; then the leader has seats held for all, and each gets a ticket by `client.allocate({ party: id })`.
 */
export class Parties {
  readonly #context: AllocationContext;

  constructor(context: AllocationContext) {
    this.#context = context;
  }

  /** Makes a party that this player leads; gives the one that it leads already. @throws SustenetError `IN_ANOTHER_PARTY`, … */
  async create(options: CreateParty = {}): Promise<PartyView> {
    return parseParty(await this.#call("POST", "", options));
  }

  /** @throws SustenetError `PARTY_NOT_FOUND`, `PARTY_FULL`, `IN_ANOTHER_PARTY`, `PARTY_BUSY`, … */
  async join({ id, code }: Pick<PartyView, "id" | "code">): Promise<PartyView> {
    return parseParty(await this.#call("POST", `${pathOf(id)}/members`, { code }));
  }

  /** How things stand. @throws SustenetError `PARTY_NOT_FOUND`, … */
  async show(id: string): Promise<PartyView> {
    return parseParty(await this.#call("GET", pathOf(id)));
  }

  /** Sends a member away, as the leader; or leaves, with this player's own id. */
  async remove(id: string, playerId: string): Promise<void> {
    await this.#call("DELETE", `${pathOf(id)}/members/${encodeURIComponent(playerId)}`);
  }

  /** Ends the party, as its leader. */
  async disband(id: string): Promise<void> {
    await this.#call("DELETE", pathOf(id));
  }

  /**
   * Has seats held for all members, on one cluster, as the leader; with `wait`, when it is the party's turn. Then all have to
   * claim, before `expiresAt`.
   *
   * @throws SustenetError `PARTY_LEADER_ONLY`, `PARTY_BUSY`, `PARTY_TOO_LARGE`, `NO_CLUSTER_AVAILABLE`, …
   */
  async allocate(id: string, request: AllocateRequest = {}, options?: WaitOptions): Promise<PartyHeld> {
    const path = `/v1/parties${pathOf(id)}/allocate`;
    const giveUp = () => ({ method: "DELETE", path }) as const;
    const question = { path, request, parse: parsePartyHeld, placeOf: () => ({}), giveUp };
    return keepAsking(question, this.#context, options);
  }

  /** Gives up the seats that are held, as long as nobody has claimed one. */
  async giveUp(id: string): Promise<void> {
    await this.#call("DELETE", `${pathOf(id)}/allocate`);
  }

  async #call(method: MasterRequest["method"], path: string, body?: object): Promise<unknown> {
    return this.#context.call({ method, path: `/v1/parties${path}`, body });
  }
}

function pathOf(id: string): string {
  return `/${encodeURIComponent(id)}`;
}
