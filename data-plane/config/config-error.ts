/** The settings cannot be used. Each problem is one line: its place, the key, what was expected. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  /** Those of them that are about the world. */
  readonly ofWorld: readonly string[];

  constructor(problems: readonly string[], ofWorld: readonly string[] = []) {
    super(problems.join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
    this.ofWorld = ofWorld;
  }
}
