import type { AlarmClock } from "../domain/wakeup.ts";
import { logEvent } from "../log.ts";
import { count } from "../metrics.ts";

const retryMs = 60_000;
/** Longest that an alarm waits for what it has begun and others have to answer: most often that is done by then, and needs no alarm of its own. */
const patienceMs = 5_000;

/** Sees to it that the object wakes up at the earliest of `times`, in ms, or before. An object has one alarm for everything. */
export async function wakeAt(storage: AlarmClock, times: readonly (number | undefined)[]): Promise<void> {
  const next = Math.min(...times.filter((time) => time !== undefined));
  if (!Number.isFinite(next)) return;
  const current = await storage.getAlarm();
  if (current === null || current > next) await storage.setAlarm(next);
}

/** To be called where an alarm failed: thrown on, the error would end the alarms of this object after six more attempts. */
export async function retryAlarm(storage: AlarmClock, error: unknown): Promise<void> {
  noteFailure(error);
  await storage.setAlarm(Date.now() + retryMs);
}

function noteFailure(error: unknown): void {
  logEvent("error", "alarm.failed", { error });
  count("objectErrors", "alarm");
}

/**
 * The end of an alarm: waits for `work`, but not for long, since no other alarm of the object comes until this one has ended, however much is due.
 * What takes longer goes on behind it. The next alarm is set either way: should the object die, that one finds what was not done. Whatever is in
 * `work` has to run once at a time however often it is begun, since the next alarm begins it again.
 *
 * @throws what goes wrong while this waits; after that, another alarm comes soon
 */
export async function endAlarm(
  context: { readonly storage: AlarmClock; readonly waitUntil: (work: Promise<void>) => void },
  work: Promise<unknown>,
  schedule: () => Promise<void>,
): Promise<void> {
  let isBehind = false;
  const behind = async (): Promise<void> => {
    try {
      await work;
      if (isBehind) await schedule();
    } catch (error) {
      if (!isBehind) return;
      noteFailure(error);
      await wakeAt(context.storage, [Date.now() + retryMs]);
    }
  };
  context.waitUntil(behind());
  const { promise: patience, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => resolve(), patienceMs);
  try {
    await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
    isBehind = true;
  }
  await schedule();
}
