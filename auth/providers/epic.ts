import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import { type Fetch, fetchBounded } from "../bounded-fetch.ts";
import { type ForeignIdentity, type OnDisplaced, openForeignSession } from "../foreign-sessions.ts";
import { IdentityError } from "../identity.ts";
import { PublicKeySet } from "../key-set.ts";
import type { SupabaseAdminOptions } from "../supabase-call.ts";
import { identityUnavailable } from "../supabase-errors.ts";
import type { LoginProvider } from "./provider.ts";
import { hasCompactForm } from "../compact-jws.ts";

/** What a game has at Epic. */
export interface EpicSettings {
  /** Client ids of the game: `aud` of its players' ID tokens is one of them. */
  readonly clientIds: readonly string[];
  /** `iss`, one of these; Epic's own unless told. */
  readonly issuers?: readonly string[] | undefined;
}

const defaultKeySetUrl = "https://api.epicgames.dev/epic/oauth/v2/.well-known/jwks.json";

/** Older SDKs get tokens of the first, newer ones of the second; the keys are the same. */
const defaultIssuers: readonly string[] = [
  "https://api.epicgames.dev/epic/oauth/v1",
  "https://api.epicgames.dev/epic/oauth/v2",
];

const algorithms: readonly string[] = ["RS256"];
const maxTokenLength = 8_192;
/** Epic's live for two hours. */
const maxLifetimeSeconds = 4 * 3_600;
const clockSkewSeconds = 5;
const keySetBounds = { timeoutMs: 3_000, maxBytes: 65_536 };

/** The keys of Epic's ID tokens, cached. Make one for each process or isolate, not for each request. */
export function createEpicKeySet(options: {
  readonly url?: string | undefined;
  /** Milliseconds, any origin. */
  readonly now: () => number;
  readonly fetch?: Fetch | undefined;
  readonly onError?: ((error: unknown) => void) | undefined;
  /** See {@link PublicKeySet}. */
  readonly keepAlive?: ((work: Promise<void>) => void) | undefined;
}): PublicKeySet {
  const { url = defaultKeySetUrl, now, onError, keepAlive } = options;
  const fetch: Fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  return new PublicKeySet({
    algorithms,
    refetchIntervalMs: 30_000,
    maxAgeMs: 3_600_000,
    fetchTimeoutMs: keySetBounds.timeoutMs,
    now,
    onError,
    keepAlive,
    fetchKeys: async () => {
      const response = await fetchBounded(fetch, url, { headers: { accept: "application/json" } }, keySetBounds);
      if (!response.ok) throw new Error(`Epic's key set was answered with status ${response.status}`);
      return response.json();
    },
  });
}

/** An ID token of Epic Account Services, verified against Epic's key set. Code: `PROVIDER_TOKEN_INVALID`. */
export function createEpicProvider(options: {
  readonly epic: EpicSettings;
  readonly keys: Pick<PublicKeySet, "lookup">;
  readonly project: SupabaseAdminOptions;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly onDisplaced?: OnDisplaced | undefined;
}): LoginProvider<"epic"> {
  const { epic, keys, project, now, onDisplaced } = options;
  return {
    method: "epic",
    async login({ token, displayName }) {
      const verified = await verifyEpicIdToken(token, keys, epic, now());
      const identity: ForeignIdentity = {
        provider: "epic",
        id: verified.accountId,
        displayName: displayName ?? verified.displayName,
      };
      return openForeignSession(project, identity, onDisplaced);
    },
  };
}

/**
 * Whose ID token it is, cheapest checks first. Epic's access tokens are signed with the same keys and have the same audience, but
 * travel to other services: they do not pass for ID tokens. [SEC-29]
 *
 * @throws IdentityError
 */
export async function verifyEpicIdToken(
  token: string,
  keys: Pick<PublicKeySet, "lookup">,
  epic: EpicSettings,
  now: number,
): Promise<{ readonly accountId: string; readonly displayName: string | undefined }> {
  if (token.length > maxTokenLength || !hasCompactForm(token)) throw notValid("not a JWT, or too long");
  const kid = keyIdOf(token);
  const found = await keys.lookup(kid);
  if (found.status === "unavailable") throw identityUnavailable(new Error("Epic's key set cannot be fetched"));
  if (found.status === "unknown") throw notValid("kid is not in the key set");
  try {
    const { payload } = await jwtVerify(token, found.key, {
      algorithms: [found.alg],
      issuer: [...(epic.issuers ?? defaultIssuers)],
      audience: [...epic.clientIds],
      requiredClaims: ["sub", "exp", "iat"],
      // Epic's expire by `exp`; this stops one that was made to live for years.
      maxTokenAge: maxLifetimeSeconds,
      clockTolerance: clockSkewSeconds,
      currentDate: new Date(now * 1_000),
    });
    // jose does not look at the types of sub and of private claims.
    const { sub, t: type, dn: name }: Record<string, unknown> = payload;
    if (type !== undefined && type !== "id_token") throw notValid("not an ID token");
    if (typeof sub !== "string" || !/^[\da-z]{1,64}$/i.test(sub)) throw notValid("sub is not an account id");
    return { accountId: sub.toLowerCase(), displayName: typeof name === "string" ? name : undefined };
  } catch (error) {
    if (error instanceof errors.JOSEError) throw notValid(error.code);
    throw error;
  }
}

function keyIdOf(token: string): string {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(token);
  } catch {
    throw notValid("header does not parse");
  }
  const { alg, kid } = header;
  if (typeof alg !== "string" || !algorithms.includes(alg)) throw notValid("alg is not RS256");
  if (typeof kid !== "string" || kid === "") throw notValid("kid is missing");
  return kid;
}

function notValid(detail: string): IdentityError {
  const message = "The Epic ID token is not valid, has expired, or was issued to another game: get a new one.";
  return new IdentityError("PROVIDER_TOKEN_INVALID", message, { cause: new Error(detail) });
}
