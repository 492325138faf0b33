import { inject } from "vitest";
import type { Provided } from "./provided.ts";

/** A Steam id that no other test has. */
export function newSteamId(): string {
  return `7656119${String(crypto.getRandomValues(new Uint32Array(1))[0]).padStart(10, "0")}`;
}

/** A session ticket, as the game's client would get it from Steam. */
export async function steamTicket(
  steamId: string,
  changes: { appId?: number; identity?: string; vacBanned?: boolean; publisherBanned?: boolean } = {},
): Promise<string> {
  const { steamUrl }: Provided["identityStandIns"] = inject("identityStandIns");
  const made = await make(`${steamUrl}/stand-in/tickets`, { steamId, identity: "sustenet", ...changes });
  return made.ticket ?? "";
}

/** An ID token, as the game's client would get it from Epic. */
export async function epicIdToken(accountId: string, changes: Record<string, unknown> = {}): Promise<string> {
  const { epicUrl }: Provided["identityStandIns"] = inject("identityStandIns");
  return (await make(`${epicUrl}/stand-in/id-tokens`, { accountId, changes })).token ?? "";
}

async function make(url: string, body: unknown): Promise<{ ticket?: string; token?: string }> {
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`the stand-in answered with ${answer.status}: ${await answer.text()}`);
  return answer.json();
}
