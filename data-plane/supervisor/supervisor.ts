import { type ChildProcess, fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { exitCodes } from "../exit-codes.ts";
import type { Logger } from "../log.ts";
import { instanceName, instanceVariable } from "./instance.ts";
import { RestartPolicy, type RestartRules } from "./restart-policy.ts";

export interface SupervisorOptions {
  /** What the instances are called, each with its number behind: `main-1`, `main-2`, … */
  readonly name: string;
  readonly instances: number;
  /** The program that every instance runs. */
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly rules: RestartRules;
  /** From 0 to 1; for jitter. */
  readonly random: () => number;
  readonly nowMs: () => number;
  /** How long instances may take to stop before they are killed. */
  readonly stopTimeoutMs: number;
}

/** What an instance tells its supervisor when players can connect. */
export const readyMessage = "sustenet-ready";

/**
 * What an instance is told to end at once. Not by another signal: systemd signals every process of a service, so an instance may get one
 * that is meant for all beside the one that its supervisor passes on.
 */
export const endMessage = "sustenet-end";

/** Keeps the instances of a cluster running, each in a process of its own. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #children = new Map<number, ChildProcess>();
  readonly #stopping = new AbortController();
  #signalled = false;
  #exitCode: number = exitCodes.STOPPED;
  #killTimer: NodeJS.Timeout | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Resolves with the exit code when every instance has ended for good. */
  async run(): Promise<number> {
    const { instances, log, program } = this.#options;
    log.info({ event: "supervising", instances }, `running ${instances} instances of ${program}`);
    await Promise.all(Array.from({ length: instances }, (_, index) => this.#keep(index)));
    clearTimeout(this.#killTimer);
    return this.#exitCode;
  }

  /** Passes a signal to stop on; from the first one on nothing is started again, and with the second all end at once. */
  stop(signal: NodeJS.Signals): void {
    this.#stop();
    if (this.#signalled) this.#end();
    else this.pass(signal);
    this.#signalled = true;
  }

  /** Passes a signal on. */
  pass(signal: NodeJS.Signals): void {
    for (const child of this.#children.values()) child.kill(signal);
  }

  #stop(): void {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    const { stopTimeoutMs, log } = this.#options;
    this.#killTimer = setTimeout(() => {
      for (const [index, child] of this.#children) {
        log.error(
          { event: "instance-killed", instance: this.#name(index) },
          `instance ${index + 1} did not stop in time: killed`,
        );
        child.kill("SIGKILL");
      }
      this.#exitCode = exitCodes.FAILED;
    }, stopTimeoutMs);
  }

  #end(): void {
    for (const child of this.#children.values()) {
      // Whoever has hung up is about to end.
      if (child.connected) child.send(endMessage, () => undefined);
    }
  }

  /** Stops the others, as the supervisor cannot do its work. */
  #giveUp(exitCode: number): void {
    this.#exitCode = exitCode;
    this.#stop();
    this.pass("SIGTERM");
  }

  async #keep(index: number): Promise<void> {
    const { log, rules, random } = this.#options;
    const policy = new RestartPolicy(rules, random);
    let everServed = false;
    while (!this.#stopping.signal.aborted) {
      const { exitCode, signal, servedMs } = await this.#runOnce(index);
      if (exitCode === exitCodes.DRAINED) return;
      if (this.#stopping.signal.aborted) {
        if (exitCode !== exitCodes.STOPPED && this.#exitCode === exitCodes.STOPPED) this.#exitCode = exitCodes.FAILED;
        return;
      }
      const how = signal === null ? `with ${exitCode}` : `by ${signal}`;
      const fields = { event: "instance-ended", instance: this.#name(index), exitCode, signal };
      everServed ||= servedMs > 0;
      const unusable = exitCode === exitCodes.UNUSABLE_SETTINGS && !everServed;
      if (unusable || exitCode === exitCodes.SUPERSEDED) {
        log.error(fields, `${this.#name(index)} ended ${how}, which starting again does not mend: stopping`);
        this.#giveUp(exitCode);
        return;
      }
      const waitMs = policy.ended(servedMs);
      if (waitMs === undefined) {
        log.error(fields, `${this.#name(index)} ended ${how}, ${rules.maxFailures} times in a row: giving up`);
        this.#giveUp(exitCodes.FAILED);
        return;
      }
      log.error(fields, `${this.#name(index)} ended ${how}: starting it again in ${Math.round(waitMs)} ms`);
      await sleep(waitMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  #name(index: number): string {
    return instanceName(this.#options.name, index);
  }

  async #runOnce(
    index: number,
  ): Promise<{ readonly exitCode: number | null; readonly signal: NodeJS.Signals | null; readonly servedMs: number }> {
    const { program, args, environment, nowMs } = this.#options;
    const child = fork(program, args, {
      env: { ...environment, [instanceVariable]: String(index) },
      // A group of its own: Ctrl-C reaches every process of a terminal's group, and a second signal ends one at once. Should
      // this process die, the channel to it closes, and that tells the instance to stop.
      detached: true,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#children.set(index, child);
    let readyAtMs: number | undefined;
    child.on("message", (message) => {
      if (message === readyMessage) readyAtMs ??= nowMs();
    });
    const { promise, resolve } = Promise.withResolvers<[number | null, NodeJS.Signals | null]>();
    child.on("error", () => {
      // It could not be started, or a signal could not be sent: only the first ends without an exit.
      if (child.pid === undefined) resolve([exitCodes.FAILED, null]);
    });
    child.on("exit", (exitCode, signal) => resolve([exitCode, signal]));
    const [exitCode, signal] = await promise;
    this.#children.delete(index);
    return { exitCode, signal, servedMs: readyAtMs === undefined ? 0 : nowMs() - readyAtMs };
  }
}
