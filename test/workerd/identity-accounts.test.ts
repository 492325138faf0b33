import { env } from "cloudflare:workers";
import { createExecutionContext } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createApp } from "../../control-plane/http/app.ts";
import { readStoreSettings } from "../../control-plane/settings.ts";
import { findPlayer } from "../../control-plane/store/players.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { seatOf, startCluster } from "./support/clusters.ts";
import { newSteamId, steamTicket } from "./support/identities.ts";
import { call, expectJson, expectProblem, masterUrl } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { logInOperator } from "./support/operators.ts";
import { cutOff } from "./support/cut-off.ts";
import { historyOf, writeRecordsNow } from "./support/records.ts";
import { requestBan } from "./support/revocations.ts";
import { eventually } from "../support/eventually.ts";

const password = "correct horse battery";

afterEach(() => {
  vi.restoreAllMocks();
});

const newEmail = () => `${crypto.randomUUID()}@example.com`;

async function signUp(email = newEmail()): Promise<PlayerSessionTokens> {
  return expectJson(await call("POST", "/v1/signup", { body: { email, password, displayName: "Ada" } }), 201);
}

describe("an upgrade", () => {
  const upgrade = (token: string, body: unknown) => call("POST", "/v1/me/upgrade", { token, body });

  it("makes an anonymous player a full account that keeps its id", async () => {
    const guest = await logIn("Fox");
    const email = newEmail();
    const answer = await expectJson(await upgrade(guest.accessToken, { email, password }), 200);
    const player = { id: guest.player.id, email, anonymous: false, displayName: "Fox" };
    expect(answer).toEqual({ status: "upgraded", player });
    const back = await expectJson<PlayerSessionTokens>(
      await call("POST", "/v1/login", { body: { email, password } }),
      200,
    );
    expect(back.player).toEqual(player);
    const body = { refreshToken: guest.refreshToken };
    const refreshed = await expectJson<PlayerSessionTokens>(await call("POST", "/v1/refresh", { body }), 200);
    expect(await expectJson(await call("GET", "/v1/me", { token: refreshed.accessToken }), 200)).toEqual(player);
  });

  it("may bring a new name", async () => {
    const guest = await logIn("Fox");
    const body = { email: newEmail(), password, displayName: "Renard" };
    const answer = await expectJson<{ player: unknown }>(await upgrade(guest.accessToken, body), 200);
    expect(answer.player).toMatchObject({ displayName: "Renard" });
    await eventually(async () => {
      await writeRecordsNow();
      expect((await findPlayer(readStoreSettings(env), guest.player.id))?.displayName).toBe("Renard");
    });
  });

  it("[SEC-33] is nothing for a full account, whatever its token says", async () => {
    const full = await signUp();
    await expectProblem(await upgrade(full.accessToken, { email: newEmail(), password }), "NOT_ANONYMOUS");
    const guest = await logIn();
    const email = newEmail();
    expect((await upgrade(guest.accessToken, { email, password })).status).toBe(200);
    // The old token still says that the player is anonymous.
    const again = { email: newEmail(), password: "of a thief" };
    await expectProblem(await upgrade(guest.accessToken, again), "NOT_ANONYMOUS");
    expect((await call("POST", "/v1/login", { body: { email, password } })).status).toBe(200);
  });

  it("needs an address of its own, a password that is not weak, and a session that lives", async () => {
    const guest = await logIn();
    const taken = newEmail();
    await signUp(taken);
    await expectProblem(await upgrade(guest.accessToken, { email: taken, password }), "ACCOUNT_EXISTS");
    await expectProblem(await upgrade(guest.accessToken, { email: newEmail(), password: "abc" }), "WEAK_PASSWORD");
    const reserved = { email: `steam-${newSteamId()}@players.sustenet.invalid`, password };
    await expectProblem(await upgrade(guest.accessToken, reserved), "INVALID_FIELD");
    expect((await call("POST", "/v1/logout", { token: guest.accessToken })).status).toBe(204);
    await expectProblem(await upgrade(guest.accessToken, { email: newEmail(), password }), "UNAUTHENTICATED");
  });
});

describe("an export", () => {
  const exportOf = (token: string | undefined) => call("GET", "/v1/me/export", { token });

  it("tells a player everything that is held, and no ticket", async () => {
    const cluster = await startCluster();
    const email = newEmail();
    const player = await signUp(email);
    const key = crypto.randomUUID();
    const wish = { clusterId: cluster.id };
    const { ticket, reservationId } = await allocate(player, wish, key);
    await cluster.report({ full: true, players: 1, joined: [seatOf(player.player, ticket)] });
    // Exports themselves are too few in an hour to be asked for again and again.
    await eventually(async () => {
      await writeRecordsNow();
      expect(await findPlayer(readStoreSettings(env), player.player.id)).toBeDefined();
      expect(await historyOf(player.player)).toMatchObject([{ outcome: "joined" }]);
      await expectProblem(await requestAllocation(player, wish, key), "TICKET_CONSUMED");
    });
    const response = await exportOf(player.accessToken);
    const text = await response.clone().text();
    expect(text).not.toContain(ticket);
    expect(text).not.toContain(player.accessToken);
    expect(response.headers.get("cache-control")).toBe("no-store");
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT/);
    expect(await expectJson(response, 200)).toEqual({
      exportedAt: time,
      account: {
        player: player.player,
        createdAt: time,
        lastLoginAt: time,
        identities: [{ provider: "email", data: expect.objectContaining({ email }) }],
        userMetadata: expect.objectContaining({ display_name: "Ada" }),
        appMetadata: { provider: "email", providers: ["email"] },
      },
      record: { displayName: "Ada", firstSeenAt: time, lastSeenAt: time },
      history: [
        {
          reservationId,
          clusterId: cluster.id,
          clusterName: "Test cluster",
          region: "default",
          outcome: "joined",
          allocatedAt: time,
          joinedAt: time,
          leftAt: null,
        },
      ],
      session: {
        allocations: [{ reservationId, state: "consumed", clusterId: cluster.id, requestedAt: time, expiresAt: time }],
        playingOn: cluster.id,
        party: null,
        ban: null,
      },
      save: null,
      bans: [],
    });
  });

  it("tells who is banned why, since when and until when, and nothing of who did it", async () => {
    const player = await logIn();
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const body = { reason: "cheating", until, note: "reported by three others" };
    const operator = await logInOperator();
    await expectJson(await requestBan(operator, player.player.id, body), 200);
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT/);
    // Exports themselves are too few in an hour to be asked for again and again.
    await eventually(async () => {
      const path = `/v1/admin/bans?playerId=${player.player.id}`;
      const listed = await call("GET", path, { token: operator.accessToken });
      expect((await expectJson<{ bans: object[] }>(listed, 200)).bans).toHaveLength(1);
    });
    const text = await (await exportOf(player.accessToken)).text();
    const exported: unknown = JSON.parse(text);
    expect(exported).toMatchObject({
      session: { ban: { reason: "cheating", since: time, until } },
      bans: [{ reason: "cheating", bannedAt: time, until, liftedAt: null }],
    });
    expect(text).not.toContain("three others");
    expect(text).not.toContain(operator.player.id);
  });

  it("is little for who has only just come, and tells of a foreign identity", async () => {
    const body = { provider: "steam", token: await steamTicket(newSteamId()) };
    const { accessToken } = await expectJson<PlayerSessionTokens>(await call("POST", "/v1/login", { body }), 200);
    const answer = await expectJson(await exportOf(accessToken), 200);
    expect(answer).toMatchObject({
      account: { player: { email: null }, appMetadata: { foreign_identity: { provider: "steam" } } },
      session: { allocations: [], playingOn: null, party: null },
    });
  });

  it("[SEC-38] is for the player alone, while the session lives", async () => {
    const player = await logIn();
    await expectProblem(await exportOf(undefined), "UNAUTHENTICATED");
    expect((await call("POST", "/v1/logout", { token: player.accessToken })).status).toBe(204);
    await expectProblem(await exportOf(player.accessToken), "UNAUTHENTICATED");
  });

  it("waits for a database that is away, rather than leave something out", async () => {
    const player = await logIn();
    cutOff(readStoreSettings(env).url);
    await expectProblem(await exportOf(player.accessToken), "DATABASE_UNAVAILABLE");
  });
});

describe("a deletion", () => {
  const remove = (token: string | undefined) => call("DELETE", "/v1/me", { token });

  it("ends the account, its sessions, its record and its open tickets", async () => {
    const cluster = await startCluster();
    const email = newEmail();
    const player = await signUp(email);
    const key = crypto.randomUUID();
    await allocate(player, { clusterId: cluster.id }, key);
    await eventually(async () => {
      await writeRecordsNow();
      expect(await findPlayer(readStoreSettings(env), player.player.id)).toBeDefined();
    });
    expect((await remove(player.accessToken)).status).toBe(204);
    await expectProblem(await call("POST", "/v1/login", { body: { email, password } }), "INVALID_CREDENTIALS");
    const body = { refreshToken: player.refreshToken };
    await expectProblem(await call("POST", "/v1/refresh", { body }), "REFRESH_TOKEN_INVALID");
    expect(await findPlayer(readStoreSettings(env), player.player.id)).toBeUndefined();
    // The access token, which nobody can take back, is good for nothing.
    await expectProblem(await requestAllocation(player, { clusterId: cluster.id }, key), "UNAUTHENTICATED");
    // That it was there stays, and fences off what was out.
    const { accessToken: token } = await logInOperator();
    const left = await expectJson(await call("GET", `/v1/admin/players/${player.player.id}`, { token }), 200);
    expect(left).toMatchObject({
      generation: expect.any(Number),
      playing: null,
      ban: null,
      operations: [{ state: "revoked" }],
    });
    // The address is free again, for somebody new.
    expect((await signUp(email)).player.id).not.toBe(player.player.id);
  });

  it("may be repeated, and finishes what an outage has interrupted", async () => {
    const player = await logIn();
    cutOff(readStoreSettings(env).url);
    await expectProblem(await remove(player.accessToken), "DATABASE_UNAVAILABLE");
    vi.restoreAllMocks();
    expect((await remove(player.accessToken)).status).toBe(204);
    expect(await findPlayer(readStoreSettings(env), player.player.id)).toBeUndefined();
    expect((await remove(player.accessToken)).status).toBe(204);
  });

  it("does not begin while the identity service is away", async () => {
    const player = await logIn();
    cutOff("/auth/v1/user");
    await expectProblem(await remove(player.accessToken), "IDENTITY_UNAVAILABLE");
    vi.restoreAllMocks();
    expect((await call("GET", "/v1/me/export", { token: player.accessToken })).status).toBe(200);
  });

  it("[SEC-38] needs a session that lives: a token that was signed out deletes nothing", async () => {
    const email = newEmail();
    const player = await signUp(email);
    expect((await call("POST", "/v1/logout", { token: player.accessToken })).status).toBe(204);
    await expectProblem(await remove(player.accessToken), "UNAUTHENTICATED");
    await expectProblem(await remove(undefined), "UNAUTHENTICATED");
    expect((await call("POST", "/v1/login", { body: { email, password } })).status).toBe(200);
  });

  it("[SEC-30] does not make a Steam player somebody else: who comes back has the same id", async () => {
    const steamId = newSteamId();
    const logInBySteam = async () => {
      const body = { provider: "steam", token: await steamTicket(steamId) };
      return expectJson<PlayerSessionTokens>(await call("POST", "/v1/login", { body }), 200);
    };
    const before = await logInBySteam();
    expect((await remove(before.accessToken)).status).toBe(204);
    // Logins count by the second, and those of the deletion's own second ended with it.
    expect((await eventually(logInBySteam)).player.id).toBe(before.player.id);
  });

  it("is switched off where there is no secret key", async () => {
    const player = await logIn();
    const request = new Request(`${masterUrl}/v1/me`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${player.accessToken}` },
    });
    const bare = { ...env, SUPABASE_SECRET_KEY: undefined };
    await expectProblem(await createApp().fetch(request, bare, createExecutionContext()), "SWITCHED_OFF");
  });
});
