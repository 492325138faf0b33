import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly player: { readonly id: string };
}

/**
 * The token of a new operator at a local master. As docs/OPERATIONS.md says: the project's owner gives the role, and the next token
 * has it. `log` is what the master has said so far.
 */
export async function operatorToken(masterUrl: string, stateDir: string, log: readonly string[]): Promise<string> {
  const { player, refreshToken } = await post(`${masterUrl}/v1/login`, { anonymous: true });
  // The last one: a master that has been started again has it elsewhere.
  const url = [...log.join("\n").matchAll(/Supabase Auth at (\S+)/g)].at(-1)?.[1] ?? "";
  const secrets: { databaseToken: string; publishableKey: string } = JSON.parse(
    readFileSync(join(stateDir, "secrets.json"), "utf8"),
  );
  const digest = createHash("sha256").update(`${secrets.databaseToken}.${secrets.publishableKey}`).digest("base64url");
  const secretKey = `sb_secret_${digest}`;
  const granted = await fetch(`${url}/auth/v1/admin/users/${player.id}`, {
    method: "PUT",
    headers: { apikey: secretKey, authorization: `Bearer ${secretKey}`, "content-type": "application/json" },
    body: JSON.stringify({ app_metadata: { roles: ["operator"] } }),
  });
  if (!granted.ok) throw new Error(`no role was given: ${granted.status}`);
  return (await post(`${masterUrl}/v1/refresh`, { refreshToken })).accessToken;
}

async function post(url: string, body: unknown): Promise<Tokens> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  const tokens: Tokens = JSON.parse(await answer.text());
  return tokens;
}
