import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { readStoreSettings } from "../../control-plane/settings.ts";
import { findPlayer } from "../../control-plane/store/players.ts";
import { findSave } from "../../control-plane/store/saves.ts";
import type { PlayerSession } from "../../control-plane/worker.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { seatOf, startCluster, type TestCluster } from "./support/clusters.ts";
import { cutOff } from "./support/cut-off.ts";
import { newSteamId, steamTicket } from "./support/identities.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { historyOf, writeRecordsNow } from "./support/records.ts";
import { toldOf } from "./support/revocations.ts";
import { askSession } from "./support/sessions.ts";
import { eventually } from "../support/eventually.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const remove = (player: PlayerSessionTokens) => call("DELETE", "/v1/me", { token: player.accessToken });

/** In the game on `cluster`, with something saved. */
async function playOn(cluster: TestCluster, player: PlayerSessionTokens, state: string) {
  const { id } = player.player;
  const { ticket } = await allocate(player, { clusterId: cluster.id });
  const seat = seatOf(player.player, ticket);
  const { generation } = seat;
  const [entered] = await askSession(cluster, id, { type: "enter", generation });
  const save = (version: number) => askSession(cluster, id, { type: "save", generation, version, state: btoa(state) });
  expect(await save(1)).toMatchObject([{ type: "saved" }]);
  return { id, seat, generation, entered, save };
}

describe("[REC-3] the account of a player in the game", () => {
  it("ends that game, of which nothing is kept any more", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    const { id, seat, generation, save } = await playOn(cluster, player, "gold");
    expect((await remove(player)).status).toBe(204);
    expect(await toldOf(cluster, id)).toMatchObject({ reason: "signed-out" });
    // What the cluster says before it has heard of that, and after.
    expect(await save(2)).toMatchObject([{ type: "fence" }]);
    await cluster.report({ full: true, players: 1, joined: [seat] });
    expect(await askSession(cluster, id, { type: "enter", generation })).toMatchObject([{ type: "superseded" }]);
    expect(await save(3)).toMatchObject([{ type: "fence" }]);
    await cluster.report({ players: 0, left: [seat] });
    await writeRecordsNow();
    expect(await findSave(readStoreSettings(env), id)).toBeUndefined();
    expect(await historyOf(player.player)).toEqual([]);
    await expectProblem(await requestAllocation(player, { clusterId: cluster.id }), "UNAUTHENTICATED");
  });

  it("is told to nobody any more, also not to who holds a token of before", async () => {
    const account = { email: `${crypto.randomUUID()}@players.test`, password: "correct horse battery" };
    const player = await expectJson<PlayerSessionTokens>(await call("POST", "/v1/signup", { body: account }), 201);
    const me = () => call("GET", "/v1/me", { token: player.accessToken });
    expect(await expectJson(await me(), 200)).toMatchObject({ email: account.email });
    expect((await remove(player)).status).toBe(204);
    await expectProblem(await me(), "UNAUTHENTICATED");
  });

  it("takes its record along, also where the database was away and nobody has asked again", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    const { id } = await playOn(cluster, player, "gold");
    await eventually(async () => {
      await writeRecordsNow();
      expect(await findSave(readStoreSettings(env), id)).toBeDefined();
    });
    cutOff(readStoreSettings(env).url);
    await expectProblem(await remove(player), "DATABASE_UNAVAILABLE");
    vi.restoreAllMocks();
    expect(await findSave(readStoreSettings(env), id)).toBeDefined();
    await eventually(async () => {
      const alarm = async (instance: PlayerSession) => instance.alarm();
      await runInDurableObject<PlayerSession, void>(env.PLAYER_SESSION.getByName(id), alarm);
      expect(await findSave(readStoreSettings(env), id)).toBeUndefined();
    });
    expect(await findPlayer(readStoreSettings(env), id)).toBeUndefined();
  });

  it("takes along whoever logs in again while the identity service deletes the account", async () => {
    const cluster = await startCluster();
    const account = { email: `${crypto.randomUUID()}@players.test`, password: "correct horse battery" };
    const player = await expectJson<PlayerSessionTokens>(await call("POST", "/v1/signup", { body: account }), 201);
    const { id } = player.player;
    const real = globalThis.fetch;
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const request = new Request(input, init);
      if (request.method !== "DELETE" || !request.url.includes("/auth/v1/admin/users/")) return real(request);
      // As a game does whose session has just ended.
      const again = await eventually(async () =>
        expectJson<PlayerSessionTokens>(await call("POST", "/v1/login", { body: account }), 200),
      );
      await allocate(again, { clusterId: cluster.id });
      return real(request);
    });
    expect((await remove(player)).status).toBe(204);
    vi.restoreAllMocks();
    await writeRecordsNow();
    await eventually(async () => {
      await writeRecordsNow();
      expect([await findPlayer(readStoreSettings(env), id), await historyOf(player.player)]).toEqual([undefined, []]);
    });
  });

  it("leaves nothing that keeps the same player from beginning anew, as players of Steam may", async () => {
    const cluster = await startCluster();
    const steamId = newSteamId();
    const logInBySteam = async () => {
      const body = { provider: "steam", token: await steamTicket(steamId) };
      return expectJson<PlayerSessionTokens>(await call("POST", "/v1/login", { body }), 200);
    };
    const before = await logInBySteam();
    const { seat } = await playOn(cluster, before, "gold");
    expect((await remove(before)).status).toBe(204);
    await cluster.report({ full: true, players: 0, left: [seat] });
    // Logins count by the second, and those of the deletion's own second ended with it.
    const after = await eventually(logInBySteam);
    expect(after.player.id).toBe(before.player.id);
    const { id, entered } = await playOn(cluster, after, "silver");
    expect(entered).toMatchObject({ type: "entered" });
    expect(entered).not.toHaveProperty("save");
    await eventually(async () => {
      await writeRecordsNow();
      expect(await findSave(readStoreSettings(env), id)).toMatchObject({ state: btoa("silver") });
    });
  });
});
