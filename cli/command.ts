/** A command of `sustenet`. */
export interface Command {
  readonly usage: string;
  readonly does: string;
  /** @throws UsageError, or another error that says what went wrong */
  run(args: readonly string[]): Promise<void>;
}
