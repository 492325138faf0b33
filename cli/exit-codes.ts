/** How the command ends. docs/OPERATIONS.md lists them. */
export const exitCodes = {
  DONE: 0,
  /** The master, or the database, refused or failed. */
  FAILED: 1,
  /** The command was not typed as it has to be. */
  USAGE: 2,
  /** The master cannot be reached. */
  UNREACHABLE: 3,
  /** `audit verify`: the log is not as it was written. */
  BROKEN: 4,
} as const;
