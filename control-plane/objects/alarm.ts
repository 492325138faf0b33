import { logEvent } from "../log.ts";
import { count } from "../metrics.ts";

const retryMs = 60_000;

/** Sees to it that the object wakes up at the earliest of `times`, in ms, or before. An object has one alarm for everything. */
export async function wakeAt(storage: DurableObjectStorage, times: readonly (number | undefined)[]): Promise<void> {
  const next = Math.min(...times.filter((time) => time !== undefined));
  if (!Number.isFinite(next)) return;
  const current = await storage.getAlarm();
  if (current === null || current > next) await storage.setAlarm(next);
}

/** To be called where an alarm failed: thrown on, the error would end the alarms of this object after six more attempts. */
export async function retryAlarm(storage: DurableObjectStorage, error: unknown): Promise<void> {
  logEvent("error", "alarm.failed", { error });
  count("objectErrors", "alarm");
  await storage.setAlarm(Date.now() + retryMs);
}
