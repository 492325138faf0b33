import type { SustenetClient } from "../client.ts";
import type { GameSession } from "../game-session.ts";

/** Passes on what it may have or not, as a game does whose types tell `undefined` from absent. Only ever compiled. */
export async function passOn(
  client: SustenetClient,
  session: GameSession,
  given: {
    readonly text: string | undefined;
    readonly count: number | undefined;
    readonly wait: boolean | undefined;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { text, count, wait, signal } = given;
  await client.signUp({ email: "", password: "", displayName: text });
  await client.login({ anonymous: true, displayName: text });
  await client.clusters({ region: text, signal });
  await client.parties.create({ size: count });
  const options = { signal, timeoutMs: count, onWaiting: undefined };
  const allocation = await client.allocate({ region: text, clusterId: text, party: text, wait }, options);
  await client.join(allocation, options);
  await session.request(1, undefined, { timeoutMs: count, signal });
}
