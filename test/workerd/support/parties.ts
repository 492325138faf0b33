import type {
  AllocateRequest,
  Allocation,
  CreateParty,
  PartyHeld,
  PartyView,
  PlayerSessionTokens,
} from "../../../protocol/index.ts";
import { call, expectJson } from "./master.ts";
import { allocate, logIn, requestAllocation } from "./players.ts";

/** A party and its members, the leader first. */
export class TestParty {
  readonly view: PartyView;
  readonly members: readonly PlayerSessionTokens[];

  constructor(view: PartyView, members: readonly PlayerSessionTokens[]) {
    this.view = view;
    this.members = members;
  }

  get leader(): PlayerSessionTokens {
    return this.member(0);
  }

  get path(): string {
    return `/v1/parties/${this.view.id}`;
  }

  member(index: number): PlayerSessionTokens {
    const member = this.members[index];
    if (member === undefined) throw new Error(`the party has no member ${index}`);
    return member;
  }

  async show(as: PlayerSessionTokens = this.leader): Promise<PartyView> {
    return expectJson(await call("GET", this.path, { token: as.accessToken }), 200);
  }

  async requestHold(
    request: AllocateRequest,
    key: string = crypto.randomUUID(),
    as: PlayerSessionTokens = this.leader,
  ): Promise<Response> {
    const headers = { "idempotency-key": key };
    return call("POST", `${this.path}/allocate`, { token: as.accessToken, body: request, headers });
  }

  async hold(request: AllocateRequest, key?: string): Promise<PartyHeld> {
    return expectJson(await this.requestHold(request, key), 200);
  }

  async requestClaim(member: PlayerSessionTokens, key?: string): Promise<Response> {
    return requestAllocation(member, { party: this.view.id }, key);
  }

  async claim(member: PlayerSessionTokens, key?: string): Promise<Allocation> {
    return allocate(member, { party: this.view.id }, key);
  }

  async remove(member: PlayerSessionTokens, as: PlayerSessionTokens): Promise<Response> {
    return call("DELETE", `${this.path}/members/${member.player.id}`, { token: as.accessToken });
  }
}

export async function requestParty(leader: PlayerSessionTokens, body: CreateParty = {}): Promise<Response> {
  return call("POST", "/v1/parties", { token: leader.accessToken, body });
}

export async function requestJoin(
  player: PlayerSessionTokens,
  party: Pick<PartyView, "id" | "code">,
): Promise<Response> {
  return call("POST", `/v1/parties/${party.id}/members`, { token: player.accessToken, body: { code: party.code } });
}

/** A party of new players. */
export async function startParty(count: number, options: CreateParty = {}): Promise<TestParty> {
  const members = await Promise.all(Array.from({ length: count }, () => logIn()));
  const [leader, ...others] = members;
  if (leader === undefined) throw new Error("a party has a leader");
  const view = await expectJson<PartyView>(await requestParty(leader, options), 200);
  for (const player of others) await expectJson(await requestJoin(player, view), 200);
  return new TestParty(view, members);
}
