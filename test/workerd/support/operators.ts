import { inject } from "vitest";
import type { PlayerSessionTokens } from "../../../protocol/index.ts";
import { call, expectJson } from "./master.ts";
import { logIn } from "./players.ts";
import type { Provided } from "./provided.ts";

/** A new player to whom the project's owner has given the role of an operator. */
export async function logInOperator(): Promise<PlayerSessionTokens> {
  const { player, refreshToken } = await logIn("Op");
  const bindings: Provided["workerBindings"] = inject("workerBindings");
  const secretKey = bindings["SUPABASE_SECRET_KEY"] ?? "";
  const answer = await fetch(`${bindings["SUPABASE_URL"]}/auth/v1/admin/users/${player.id}`, {
    method: "PUT",
    headers: { apikey: secretKey, authorization: `Bearer ${secretKey}` },
    body: JSON.stringify({ app_metadata: { roles: ["operator"] } }),
  });
  if (!answer.ok) throw new Error(`no role was given: ${answer.status} ${await answer.text()}`);
  return expectJson(await call("POST", "/v1/refresh", { body: { refreshToken } }), 200);
}
