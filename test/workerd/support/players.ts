import type { AllocateRequest, Allocation, PlayerSessionTokens } from "../../../protocol/index.ts";
import { call, expectJson } from "./master.ts";

/** A new anonymous player. */
export async function logIn(displayName = "Ada"): Promise<PlayerSessionTokens> {
  return expectJson(await call("POST", "/v1/login", { body: { anonymous: true, displayName } }), 200);
}

export async function requestAllocation(
  player: PlayerSessionTokens,
  request: AllocateRequest,
  key: string = crypto.randomUUID(),
): Promise<Response> {
  const headers = { "idempotency-key": key };
  return call("POST", "/v1/allocate", { token: player.accessToken, body: request, headers });
}

/** An allocation that has to succeed. */
export async function allocate(
  player: PlayerSessionTokens,
  request: AllocateRequest,
  key: string = crypto.randomUUID(),
): Promise<Allocation> {
  return expectJson(await requestAllocation(player, request, key), 200);
}

/** Players in numbers that no real identity service would take at once: a few at a time. */
export async function logInMany(count: number): Promise<PlayerSessionTokens[]> {
  const players: PlayerSessionTokens[] = [];
  while (players.length < count) {
    const next = Math.min(20, count - players.length);
    players.push(...(await Promise.all(Array.from({ length: next }, () => logIn()))));
  }
  return players;
}
