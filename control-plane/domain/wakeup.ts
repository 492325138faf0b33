/** Where an object's alarm is set. Times are ms since 1970. */
export interface AlarmClock {
  readonly getAlarm: () => Promise<number | null>;
  readonly setAlarm: (atMs: number) => Promise<void>;
}

/**
 * The one alarm of an object, and when it is known to come: a look at it costs nothing where it comes early enough already. An
 * object that has one sets its alarm in no other way.
 */
export class Wakeup {
  readonly #clock: AlarmClock;
  #atMs: number | undefined;

  constructor(clock: AlarmClock) {
    this.#clock = clock;
  }

  /** Whether the object is known to wake up, sooner or later. */
  get isSet(): boolean {
    return this.#atMs !== undefined;
  }

  /** Sees to it that the object wakes up at the earliest of `times`, in ms, or before. */
  async by(times: readonly (number | undefined)[]): Promise<void> {
    const next = Math.min(...times.filter((time) => time !== undefined));
    if (!Number.isFinite(next) || this.#comesBy(next)) return;
    const current = await this.#clock.getAlarm();
    // Another call may have set it meanwhile.
    if (this.#comesBy(next)) return;
    if (current !== null && current <= next) this.#atMs = current;
    else await this.set(next);
  }

  /** Sets the alarm, whatever was set before. */
  async set(atMs: number): Promise<void> {
    this.#atMs = atMs;
    try {
      await this.#clock.setAlarm(atMs);
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  /** Nothing is known any more: to be called when the alarm has come, or was set elsewhere. */
  forget(): void {
    this.#atMs = undefined;
  }

  #comesBy(atMs: number): boolean {
    return this.#atMs !== undefined && this.#atMs <= atMs;
  }
}
