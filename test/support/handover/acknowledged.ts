import { setTimeout as pass } from "node:timers/promises";

/** A master that was killed is back by then. */
const patienceMs = 60_000;
const answerTimeoutMs = 10_000;
/** So far apart that what a player may ask for in an hour is not used up. */
const pauseMs = 1_000;
/** Answers after which the same call may be repeated. */
const passing: ReadonlySet<number> = new Set([409, 425, 429]);

/**
 * Makes a call until the master has said what came of it: it, and what it needs, may be away.
 *
 * @throws Error for an answer that no repetition changes, and where none has come within a minute
 */
export async function acknowledged(what: string, ask: (signal: AbortSignal) => Promise<Response>): Promise<Response> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const came = await ask(AbortSignal.timeout(answerTimeoutMs)).catch((error: unknown) => String(error));
    if (typeof came !== "string" && came.ok) return came;
    const said = typeof came === "string" ? came : `${came.status} ${await came.text().catch(String)}`;
    const isFinal = typeof came !== "string" && came.status < 500 && !passing.has(came.status);
    if (isFinal || performance.now() > deadline) throw new Error(`${what} came to nothing: ${said}`);
    await pass(pauseMs);
  }
}
