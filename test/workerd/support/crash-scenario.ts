/**
 * A flow that a crash must not break, for `crashes.test.ts`. One file a flow in `test/workerd/crashes/`, with an export named
 * `scenario` (or several of any name): the files are found, nothing has to be listed anywhere.
 *
 * For every `failpoint("flow.step")` in the sources of the control plane and each way to lose memory, the test runs
 *
 *     prepare()   nothing is armed: clusters, players, whatever the flow needs
 *     begin()     everything stops where the failpoint is reached, here or behind the answer
 *                 (all objects lose their memory)
 *     carryOn()   the ordinary retry, as a real caller does it, until the flow is at its end
 *     check()     the rules that hold whatever happened; called a second time after memory was lost once more
 *     finish()    what comes after it, if anything: most often that nothing has leaked
 *
 * Beside each run stand witnesses who have nothing to do with its flow (`witness.ts`): for them rules 1 to 5 and 9 of the architecture
 * are looked at after every crash, and a master that was away for minutes.
 */
export interface CrashScenario {
  /** The first half of the names of its failpoints. */
  readonly flow: string;
  /** The steps that this scenario is for. Without it: those of its flow that no other scenario names. */
  readonly steps?: readonly string[];
  /** Run at its steps as well as the scenario that they have anyway: another call takes the same way. */
  readonly beside?: true;
  readonly prepare: () => Promise<CrashRun>;
}

/** One run of a scenario, on clusters and players of its own. */
export interface CrashRun {
  /**
   * Starts the flow, through HTTP or a link. What it answers, or throws, is not looked at: a failpoint may stop it anywhere. A
   * failpoint that is reached behind the answer is waited for. Who asks again and again ends that once everything `hasStopped`.
   */
  readonly begin: (hasStopped: () => boolean) => Promise<unknown>;
  /** Does what its caller would do after an answer that did not come; must bring the flow to its end. Polls, never sleeps. */
  readonly carryOn: () => Promise<void>;
  /** Asserts the flow's rules through HTTP. */
  readonly check: () => Promise<void>;
  readonly finish?: () => Promise<void>;
}

/** Whether a module's export is a scenario. */
export function isCrashScenario(value: unknown): value is CrashScenario {
  return typeof value === "object" && value !== null && "flow" in value && "prepare" in value;
}
