import { DurableObject } from "cloudflare:workers";
import { SignJWT } from "jose";
import { verifyAccessToken } from "../../../auth/access-token.ts";
import { createSupabaseKeySet, supabaseIssuer } from "../../../auth/supabase-keys.ts";
import { readIdentitySettings } from "../../../control-plane/settings.ts";

/** The bindings of this benchmark's own objects. */
interface BareEnv {
  readonly BARE_PLAYER: DurableObjectNamespace<BarePlayer>;
  readonly BARE_SHARD: DurableObjectNamespace<BareShard>;
}

/** A second object that writes one row. */
export class BareShard extends DurableObject<BareEnv> {
  constructor(context: DurableObjectState, env: BareEnv) {
    super(context, env);
    context.storage.sql.exec("CREATE TABLE IF NOT EXISTS seats (player TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT");
  }

  reserve(player: string): { readonly ok: true } {
    this.ctx.storage.sql.exec("INSERT OR REPLACE INTO seats (player, at) VALUES (?, ?)", player, Date.now());
    return { ok: true };
  }
}

/** An object for each player, that writes one row, asks the second object, and signs. */
export class BarePlayer extends DurableObject<BareEnv> {
  constructor(context: DurableObjectState, env: BareEnv) {
    super(context, env);
    context.storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS operations (key TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT",
    );
  }

  async allocate(player: string, key: string): Promise<string> {
    this.ctx.storage.sql.exec("INSERT OR REPLACE INTO operations (key, at) VALUES (?, ?)", key, Date.now());
    await this.env.BARE_SHARD.getByName("one").reserve(player);
    signingKey ??= crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
    const pair = await signingKey;
    if (!("privateKey" in pair)) throw new Error("ECDSA has pairs of keys");
    return new SignJWT({ sub: player }).setProtectedHeader({ alg: "ES256", kid: "bare" }).sign(pair.privateKey);
  }
}

let signingKey: Promise<CryptoKey | CryptoKeyPair> | undefined;
let keys: ReturnType<typeof createSupabaseKeySet> | undefined;

/** The hops of an allocation without what it is for: one token check, two object calls that write a row each, one signature. */
export async function allocateBare(request: Request, env: object): Promise<Response> {
  const { url, publishableKey } = readIdentitySettings(env);
  keys ??= createSupabaseKeySet({ url, publishableKey, now: Date.now, onError: () => undefined });
  const token = request.headers.get("authorization")?.slice("Bearer ".length) ?? "";
  const verdict = await verifyAccessToken(token, keys, {
    issuer: supabaseIssuer(url),
    now: Math.floor(Date.now() / 1_000),
    reservedEmailDomain: undefined,
  });
  if (!verdict.ok) return new Response(verdict.code, { status: 401 });
  await request.json();
  const { playerId } = verdict.claims;
  if (!hasBareBindings(env)) throw new Error("the objects of the benchmark are not bound");
  const key = request.headers.get("idempotency-key") ?? "";
  const ticket = await env.BARE_PLAYER.getByName(playerId).allocate(playerId, key);
  return Response.json({ ticket });
}

function hasBareBindings(env: object): env is BareEnv {
  return "BARE_PLAYER" in env && "BARE_SHARD" in env;
}
