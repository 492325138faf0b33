import { z } from "zod";
import { type Fetch, fetchBounded } from "../bounded-fetch.ts";
import { type ForeignIdentity, type OnDisplaced, openForeignSession } from "../foreign-sessions.ts";
import { IdentityError } from "../identity.ts";
import type { SupabaseAdminOptions } from "../supabase-call.ts";
import { identityUnavailable } from "../supabase-errors.ts";
import type { LoginProvider } from "./provider.ts";

/** What a game has at Steam. */
export interface SteamSettings {
  /** Publisher key of the Steam Web API. Secret. */
  readonly webApiKey: string;
  readonly appId: number;
  /** What the game passes to `GetAuthTicketForWebApi`: a ticket made for another service does not pass. */
  readonly identity: string;
  /** Whether players with a VAC ban are turned away. Those whom the publisher has banned always are. */
  readonly refuseVacBanned: boolean;
  /** `https://partner.steam-api.com` unless told. */
  readonly apiUrl?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly fetch?: Fetch | undefined;
}

const defaultApiUrl = "https://partner.steam-api.com";
const defaultTimeoutMs = 5_000;
const maxAnswerBytes = 16_384;

/** Steam's tickets have at most 2,560 bytes. */
const ticketForm = /^(?:[\da-f]{2}){1,2560}$/i;

const paramsSchema = z.object({
  result: z.literal("OK"),
  /** 64-bit ids, in decimal: JSON numbers would lose digits. */
  steamid: z.string().regex(/^\d{1,20}$/),
  vacbanned: z.boolean(),
  publisherbanned: z.boolean(),
});
const answerSchema = z.object({
  response: z.union([z.object({ params: paramsSchema }), z.object({ error: z.object({ errorcode: z.number() }) })]),
});

/**
 * A session ticket of Steam, checked by Steam's Web API (`ISteamUserAuth/AuthenticateUserTicket`). Codes:
 * `PROVIDER_TOKEN_INVALID`, `PROVIDER_BANNED`.
 */
export function createSteamProvider(options: {
  readonly steam: SteamSettings;
  readonly project: SupabaseAdminOptions;
  readonly onDisplaced?: OnDisplaced | undefined;
}): LoginProvider<"steam"> {
  const { steam, project, onDisplaced } = options;
  return {
    method: "steam",
    async login({ token, displayName }) {
      const id = await checkSteamTicket(steam, token);
      const identity: ForeignIdentity = { provider: "steam", id, displayName };
      return openForeignSession(project, identity, onDisplaced);
    },
  };
}

/** The 64-bit Steam id, in decimal, of who a ticket was made for. @throws IdentityError */
export async function checkSteamTicket(steam: SteamSettings, ticket: string): Promise<string> {
  if (!ticketForm.test(ticket)) throw notValid("not hexadecimal, or too long");
  const answer = answerSchema.safeParse(await askSteam(steam, ticket));
  if (!answer.success) throw identityUnavailable(new Error("Steam gave an answer of another shape"));
  const { response } = answer.data;
  if ("error" in response) throw notValid(`Steam refused it with code ${response.error.errorcode}`);
  const { steamid, vacbanned, publisherbanned } = response.params;
  if (publisherbanned || (vacbanned && steam.refuseVacBanned)) {
    throw new IdentityError("PROVIDER_BANNED", "This Steam account is banned from the game.");
  }
  return steamid;
}

async function askSteam(steam: SteamSettings, ticket: string): Promise<unknown> {
  const { webApiKey, appId, identity, apiUrl = defaultApiUrl, timeoutMs = defaultTimeoutMs } = steam;
  const fetch: Fetch = steam.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const query = new URLSearchParams({ appid: String(appId), ticket, identity });
  // Not in the query, where Steam takes it as well: addresses end up in logs.
  const headers = { "x-webapi-key": webApiKey, accept: "application/json" };
  const bounds = { timeoutMs, maxBytes: maxAnswerBytes };
  try {
    const address = `${apiUrl.replace(/\/+$/, "")}/ISteamUserAuth/AuthenticateUserTicket/v1/?${query.toString()}`;
    const response = await fetchBounded(fetch, address, { headers }, bounds);
    if (response.ok) return await response.json();
    const hint = response.status === 401 || response.status === 403 ? ": check STEAM_WEB_API_KEY and STEAM_APP_ID" : "";
    throw new Error(`Steam answered with status ${response.status}${hint}`);
  } catch (error) {
    throw identityUnavailable(withoutAddress(error));
  }
}

/** Errors of `fetch` may name the address that was asked, and the ticket is in it. */
function withoutAddress(error: unknown): Error {
  if (!(error instanceof Error)) return new Error("Steam was not reached");
  const told = /^Steam answered|^the answer is longer/.test(error.message);
  return new Error(told ? error.message : `Steam was not reached: ${error.name}`);
}

function notValid(detail: string): IdentityError {
  const message = "The Steam ticket is not valid, has expired, or was made for another game: get a new one.";
  return new IdentityError("PROVIDER_TOKEN_INVALID", message, { cause: new Error(detail) });
}
