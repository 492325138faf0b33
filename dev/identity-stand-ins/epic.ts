import { randomUUID } from "node:crypto";
import { type CryptoKey, SignJWT, exportJWK, generateKeyPair } from "jose";
import { z } from "zod";
import { jsonReply, startJsonListener } from "./json-listener.ts";

export interface EpicAccounts {
  /** As `EPIC_JWKS_URL`. */
  readonly keySetUrl: string;
  readonly url: string;
  /** Signs an ID token for an account; `changes` replace claims, or remove them with `null`. Also: `POST /stand-in/id-tokens`. */
  signIdToken(accountId: string, changes?: Readonly<Record<string, unknown>>): Promise<string>;
  close(): Promise<void>;
}

const keySetPath = "/epic/oauth/v2/.well-known/jwks.json";
const kid = "WMS7-stand-in-key";
const bodySchema = z.object({ accountId: z.string(), changes: z.record(z.string(), z.json()).default({}) });

/** Starts a stand-in for Epic Account Services, as far as a login needs it: their published keys, and players' ID tokens. */
export async function startEpicAccounts(options: {
  readonly clientId: string;
  readonly port?: number;
  /** Milliseconds since 1970. Default the system's clock. */
  readonly clock?: () => number;
}): Promise<EpicAccounts> {
  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
  const keySet = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: "RS256", use: "sig" }] };
  const clock = options.clock ?? Date.now;
  const sign = async (accountId: string, changes: Readonly<Record<string, unknown>> = {}): Promise<string> =>
    signToken(privateKey, { ...idTokenClaims(accountId, options.clientId, clock()), ...changes });

  const listener = await startJsonListener("the local Epic Account Services", options.port, async (request) => {
    if (request.method === "GET" && request.url.pathname === keySetPath) return jsonReply(keySet);
    if (request.method === "POST" && request.url.pathname === "/stand-in/id-tokens") {
      const body = bodySchema.safeParse(JSON.parse(request.body.toString()));
      if (!body.success) return jsonReply({ error: body.error.message }, 400);
      return jsonReply({ token: await sign(body.data.accountId, body.data.changes) });
    }
    return jsonReply({ errorCode: "errors.com.epicgames.common.not_found" }, 404);
  });
  return {
    url: listener.url,
    keySetUrl: listener.url + keySetPath,
    signIdToken: sign,
    close: () => listener.close(),
  };
}

/** The claims that Epic's ID tokens have. */
function idTokenClaims(accountId: string, clientId: string, nowMs: number): Record<string, unknown> {
  const iat = Math.floor(nowMs / 1_000);
  return {
    iss: "https://api.epicgames.dev/epic/oauth/v2",
    sub: accountId,
    aud: clientId,
    iat,
    exp: iat + 7_200,
    jti: randomUUID().replaceAll("-", ""),
    t: "id_token",
    dn: "Epic Player",
    pfsid: "sandbox",
    pfdid: "deployment",
    pfpid: "product",
    appid: "application",
  };
}

async function signToken(key: CryptoKey, claims: Readonly<Record<string, unknown>>): Promise<string> {
  const present = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null));
  return new SignJWT(present).setProtectedHeader({ alg: "RS256", kid, t: "id_token" }).sign(key);
}
