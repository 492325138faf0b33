import { createRemoteJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EpicAccounts, startEpicAccounts } from "./epic.ts";
import { startSteamWebApi, type SteamWebApi } from "./steam.ts";

let steam: SteamWebApi;
let epic: EpicAccounts;

beforeAll(async () => {
  steam = await startSteamWebApi({ webApiKey: "steam-key", appId: 480 });
  epic = await startEpicAccounts({ clientId: "xyza7891" });
});

afterAll(async () => {
  await Promise.all([steam.close(), epic.close()]);
});

describe("Steam's Web API", () => {
  const steamId = "76561198000000001";
  const ask = (query: Record<string, string>, headers: Record<string, string> = { "x-webapi-key": "steam-key" }) =>
    fetch(`${steam.url}/ISteamUserAuth/AuthenticateUserTicket/v1/?${new URLSearchParams(query).toString()}`, {
      headers,
    });

  it("tells whose ticket it is, with the key in a header or in the query", async () => {
    const ticket = steam.createTicket({ steamId, identity: "game" });
    const banned = { vacbanned: false, publisherbanned: false };
    const expected = { response: { params: { result: "OK", steamid: steamId, ownersteamid: steamId, ...banned } } };
    expect(await (await ask({ appid: "480", ticket, identity: "game" })).json()).toEqual(expected);
    expect(await (await ask({ appid: "480", ticket, key: "steam-key" }, {})).json()).toEqual(expected);
  });

  it("refuses tickets of other games, for other services, and unknown ones", async () => {
    const codeOf = async (ticket: string): Promise<unknown> =>
      (await ask({ appid: "480", ticket, identity: "game" })).json();
    expect(await codeOf("00ff")).toMatchObject({ response: { error: { errorcode: 101 } } });
    expect(await codeOf(steam.createTicket({ steamId, identity: "other" }))).toMatchObject({
      response: { error: { errorcode: 101 } },
    });
    expect(await codeOf(steam.createTicket({ steamId, appId: 730, identity: "game" }))).toMatchObject({
      response: { error: { errorcode: 102 } },
    });
  });

  it("answers in HTML where the key, the app or a parameter is wrong", async () => {
    const ticket = steam.createTicket({ steamId });
    expect((await ask({ appid: "480", ticket }, { "x-webapi-key": "wrong" })).status).toBe(403);
    expect((await ask({ appid: "730", ticket })).status).toBe(403);
    expect((await ask({ appid: "480" })).status).toBe(400);
    expect((await fetch(`${steam.url}/ISteamUser/`)).status).toBe(404);
  });

  it("makes tickets over HTTP too", async () => {
    const make = (body: unknown) =>
      fetch(`${steam.url}/stand-in/tickets`, { method: "POST", body: JSON.stringify(body) });
    const { ticket }: { ticket: string } = JSON.parse(await (await make({ steamId, vacBanned: true })).text());
    expect(await (await ask({ appid: "480", ticket })).json()).toMatchObject({
      response: { params: { vacbanned: true } },
    });
    expect((await make({ steamId: "7" })).status).toBe(400);
  });
});

describe("Epic's accounts", () => {
  it("sign ID tokens with a key that they publish", async () => {
    const keys = createRemoteJWKSet(new URL(epic.keySetUrl));
    const token = await epic.signIdToken("0123456789abcdef0123456789abcdef");
    const { payload } = await jwtVerify(token, keys, { audience: "xyza7891", algorithms: ["RS256"] });
    expect(payload).toMatchObject({ sub: "0123456789abcdef0123456789abcdef", t: "id_token", dn: "Epic Player" });
    const changed = await fetch(`${epic.url}/stand-in/id-tokens`, {
      method: "POST",
      body: JSON.stringify({ accountId: "ab", changes: { aud: "other", dn: null } }),
    });
    const { token: other }: { token: string } = JSON.parse(await changed.text());
    const verified = await jwtVerify(other, keys);
    expect(verified.payload.aud).toBe("other");
    expect(verified.payload).not.toHaveProperty("dn");
    expect((await fetch(`${epic.url}/elsewhere`)).status).toBe(404);
  });
});
