import { describe, expect, it } from "vitest";
import { IdentityError } from "../identity.ts";
import { type Responder, reply, scriptFetch } from "../testing/scripted-fetch.ts";
import { checkSteamTicket, type SteamSettings } from "./steam.ts";

const ticket = "14000000deadbeef";
const route = "GET /ISteamUserAuth/AuthenticateUserTicket/v1/";
const steamid = "76561198000000001";

function createFixture(respond: Responder, changes: Partial<SteamSettings> = {}) {
  const { fetch, requests } = scriptFetch({ [route]: respond });
  const steam: SteamSettings = {
    webApiKey: "secret-web-api-key",
    appId: 480,
    identity: "sustenet",
    refuseVacBanned: true,
    fetch,
    ...changes,
  };
  return { steam, requests };
}

function verified(changes: Readonly<Record<string, unknown>> = {}): Responder {
  const params = { result: "OK", steamid, ownersteamid: steamid, vacbanned: false, publisherbanned: false, ...changes };
  return reply({ response: { params } });
}

async function errorOf(respond: Responder, changes?: Partial<SteamSettings>, of = ticket): Promise<IdentityError> {
  const { steam } = createFixture(respond, changes);
  const error = await checkSteamTicket(steam, of).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof IdentityError)) throw new Error("it did not fail with an IdentityError", { cause: error });
  return error;
}

describe("a Steam ticket", () => {
  it("[SEC-29] is asked about with the app and the identity that it must have been made for", async () => {
    const { steam, requests } = createFixture(verified());
    expect(await checkSteamTicket(steam, ticket)).toBe(steamid);
    expect(requests).toHaveLength(1);
    expect(requests[0]?.url.origin).toBe("https://partner.steam-api.com");
    expect(Object.fromEntries(requests[0]?.url.searchParams ?? [])).toEqual({
      appid: "480",
      ticket,
      identity: "sustenet",
    });
  });

  it("[SEC-20] the key goes in a header, never in the address", async () => {
    const { steam, requests } = createFixture(verified());
    await checkSteamTicket(steam, ticket);
    expect(requests[0]?.headers.get("x-webapi-key")).toBe("secret-web-api-key");
    expect(requests[0]?.url.href).not.toContain("secret");
  });

  it.each([
    [{ publisherbanned: true }, true],
    [{ publisherbanned: true }, false],
    [{ vacbanned: true }, true],
    [{ vacbanned: true, publisherbanned: true }, false],
  ])("[SEC-29] of a banned account, %j, is PROVIDER_BANNED (VAC bans refused: %s)", async (flags, refuseVacBanned) => {
    expect((await errorOf(verified(flags), { refuseVacBanned })).code).toBe("PROVIDER_BANNED");
  });

  it("of an account with a VAC ban passes where the game wants it so", async () => {
    const { steam } = createFixture(verified({ vacbanned: true }), { refuseVacBanned: false });
    expect(await checkSteamTicket(steam, ticket)).toBe(steamid);
  });

  it("that Steam refuses is PROVIDER_TOKEN_INVALID", async () => {
    const error = await errorOf(reply({ response: { error: { errorcode: 101, errordesc: "Invalid ticket" } } }));
    expect(error.code).toBe("PROVIDER_TOKEN_INVALID");
    expect(error.cause).toMatchObject({ message: "Steam refused it with code 101" });
  });

  it.each(["", "0", "xyz1", "14 00", "0x14", "a".repeat(5_122), `${ticket}&appid=730`])(
    "[SEC-29] Steam is not asked about %.20j",
    async (bad) => {
      const { steam, requests } = createFixture(verified());
      await expect(checkSteamTicket(steam, bad)).rejects.toMatchObject({ code: "PROVIDER_TOKEN_INVALID" });
      expect(requests).toHaveLength(0);
    },
  );

  it("may have 2,560 bytes", async () => {
    const { steam } = createFixture(verified());
    expect(await checkSteamTicket(steam, "ab".repeat(2_560))).toBe(steamid);
  });
});

describe("Steam itself", () => {
  const faults: readonly [string, Responder][] = [
    ["is away", () => Promise.reject(new TypeError(`fetch failed: ${ticket}`))],
    ["refuses the key", () => new Response("<html>Forbidden</html>", { status: 403 })],
    ["limits us", () => new Response("<html>", { status: 429 })],
    ["fails", () => new Response(null, { status: 503 })],
    ["redirects", () => new Response(null, { status: 302, headers: { location: "https://evil.example/" } })],
    ["speaks HTML", () => new Response("<html>")],
    ["answers another shape", reply({ response: {} })],
    ["answers null", reply(null)],
    ["answers a number for the id", verified({ steamid: 765_611_980_000 })],
    ["answers an id with other characters", verified({ steamid: "1' OR 1=1" })],
    ["answers no flags", verified({ vacbanned: undefined })],
    ["answers another result", verified({ result: "Maybe" })],
    ["answers too much", reply({ response: { padding: "x".repeat(16_384) } })],
    ["hangs", () => new Promise(() => {})],
  ];

  it.each(faults)("%s: IDENTITY_UNAVAILABLE, with nothing secret in the log", async (_fault, respond) => {
    const error = await errorOf(respond, { timeoutMs: 50 });
    expect(error.code).toBe("IDENTITY_UNAVAILABLE");
    expect(error.retryAfterSeconds).toBe(5);
    const { cause } = error;
    const logged = cause instanceof Error ? `${error.message} ${cause.name} ${cause.message}` : String(cause);
    for (const secret of ["secret-web-api-key", ticket, "partner.steam-api.com"]) expect(logged).not.toContain(secret);
  });
});
