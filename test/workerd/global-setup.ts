import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { migrate } from "../../control-plane/store/migrate.ts";
import { startEpicAccounts } from "../../dev/identity-stand-ins/epic.ts";
import { startSteamWebApi } from "../../dev/identity-stand-ins/steam.ts";
import { startLibsqlServer } from "../../dev/libsql/server.ts";
import { startSupabaseAuth } from "../../dev/supabase-auth/server.ts";
import type { Provided } from "./support/provided.ts";

/** Address under which the tests call the Worker. */
const masterUrl = "https://master.test";

/** Starts the services that the Worker calls, and hands their addresses over as its vars and secrets. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "sustenet-workerd-"));
  const databaseToken = randomBytes(16).toString("base64url");
  const publishableKey = `sb_publishable_${randomBytes(16).toString("base64url")}`;
  const database = await startLibsqlServer({ file: join(folder, "turso.db"), authToken: databaseToken });
  const secretKey = `sb_secret_${randomBytes(16).toString("base64url")}`;
  const redirectUrl = "https://game.test/done";
  const identity = await startSupabaseAuth({
    publishableKey,
    secretKey,
    oauthProviders: ["discord"],
    redirectUrls: [redirectUrl],
  });
  const webApiKey = randomBytes(16).toString("hex");
  const steam = await startSteamWebApi({ webApiKey, appId: 480 });
  const epic = await startEpicAccounts({ clientId: "xyza7891" });
  await migrate({ url: database.url, authToken: databaseToken });
  const bindings: Provided["workerBindings"] = {
    MASTER_URL: masterUrl,
    SHARDS: JSON.stringify({ version: 1, regions: { default: 1, eu: 2 } }),
    // The clusters of most tests listen nowhere.
    PROBE_CLUSTERS: "off",
    TURSO_DATABASE_URL: database.url,
    TURSO_AUTH_TOKEN: databaseToken,
    SUPABASE_URL: identity.url,
    SUPABASE_PUBLISHABLE_KEY: publishableKey,
    SUPABASE_SECRET_KEY: secretKey,
    IDENTITY_PROVIDERS: "password, anonymous, supabase, oauth, steam, epic",
    OAUTH_PROVIDERS: "discord",
    OAUTH_REDIRECT_URLS: redirectUrl,
    STEAM_WEB_API_KEY: webApiKey,
    STEAM_APP_ID: "480",
    STEAM_IDENTITY: "sustenet",
    STEAM_API_URL: steam.url,
    EPIC_CLIENT_IDS: "xyza7891",
    EPIC_JWKS_URL: epic.keySetUrl,
    METRICS_TOKEN: randomBytes(24).toString("base64url"),
    KEY_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
  };
  project.provide("workerBindings", bindings);
  project.provide("identityStandIns", { steamUrl: steam.url, epicUrl: epic.url });
  const now = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: `${identity.url}/auth/v1`,
    sub: randomUUID(),
    aud: "authenticated",
    role: "authenticated",
    session_id: randomUUID(),
    iat: now - 600,
    exp: now + 3_600,
  };
  project.provide("badTokens", {
    expired: await identity.signAccessToken({ ...claims, exp: now - 60 }),
    "of another issuer": await identity.signAccessToken({ ...claims, iss: "https://other.example/auth/v1" }),
    "for another audience": await identity.signAccessToken({ ...claims, aud: "other" }),
    "of the anonymous role": await identity.signAccessToken({ ...claims, role: "anon" }),
  });
  return async () => {
    await Promise.all([database.close(), identity.close(), steam.close(), epic.close()]);
    await rm(folder, { recursive: true, force: true });
  };
}
