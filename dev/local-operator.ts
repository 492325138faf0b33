import { z } from "zod";

/** Where a local master and its stand-in for Supabase Auth are, as master.env says. */
export interface LocalMaster {
  readonly masterUrl: string;
  readonly identityUrl: string;
  /** The stand-in's, with which its accounts are changed. */
  readonly secretKey: string;
}

const environmentSchema = z.object({
  MASTER_URL: z.string(),
  SUPABASE_URL: z.string(),
  SUPABASE_SECRET_KEY: z.string(),
});
const tokensSchema = z.looseObject({
  accessToken: z.string(),
  refreshToken: z.string(),
  player: z.looseObject({ id: z.string() }),
});
const timeoutMs = 10_000;

/** @returns `undefined` where that master's accounts are not in the local stand-in */
export function readLocalMaster(environment: Readonly<Record<string, string | undefined>>): LocalMaster | undefined {
  const { data } = environmentSchema.safeParse(environment);
  if (data === undefined) return undefined;
  return { masterUrl: data.MASTER_URL, identityUrl: data.SUPABASE_URL, secretKey: data.SUPABASE_SECRET_KEY };
}

/**
 * Makes an account with the role `operator` at a local master, as the owner of a real project would: the role is given, and the next
 * token has it.
 *
 * @returns the access token, good for an hour
 * @throws Error
 */
export async function createLocalOperator({ masterUrl, identityUrl, secretKey }: LocalMaster): Promise<string> {
  const { player, refreshToken } = await post(`${masterUrl}/v1/login`, {
    anonymous: true,
    displayName: "Local operator",
  });
  const headers = { apikey: secretKey, authorization: `Bearer ${secretKey}`, "content-type": "application/json" };
  const granted = await fetch(`${identityUrl}/auth/v1/admin/users/${player.id}`, {
    method: "PUT",
    headers,
    body: JSON.stringify({ app_metadata: { roles: ["operator"] } }),
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (!granted.ok) throw new Error(`the stand-in for Supabase Auth answered ${granted.status}`);
  return (await post(`${masterUrl}/v1/refresh`, { refreshToken })).accessToken;
}

async function post(url: string, body: object): Promise<z.infer<typeof tokensSchema>> {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return tokensSchema.parse(await answer.json());
}
