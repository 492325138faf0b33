import { randomUUID } from "node:crypto";
import type { BenchMaster } from "./master.ts";
import type { Call } from "./requests.ts";

/** Players who come again and again: their objects are warm, as in the hour in which a game is played. */
export async function createPlayers(master: BenchMaster, count: number): Promise<() => { token: string }> {
  const tokens = await Promise.all(Array.from({ length: count }, () => master.accessToken()));
  let index = 0;
  return () => {
    const token = tokens[index % tokens.length] ?? "";
    index += 1;
    return { token };
  };
}

/** An allocation as a client asks for it, each with a key of its own. */
export function allocation(path: string, token: string): Call {
  return {
    method: "POST",
    path,
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "content-length": "20",
      "idempotency-key": randomUUID(),
    },
    body: '{"region":"default"}',
  };
}
