import { setTimeout as sleep } from "node:timers/promises";

/** Waits, but not when it is not wanted any more. Nothing of it stays with the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
