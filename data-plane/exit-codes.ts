/** How the process ends. */
export const exitCodes = {
  /** Stopped as it was told to. */
  STOPPED: 0,
  /** Something went wrong that nobody can mend by changing a setting. */
  FAILED: 1,
  /** The settings, a key or the port cannot be used. */
  UNUSABLE_SETTINGS: 2,
  /** A newer process with the same key and instance has taken over, or the key has ended; the log says which. */
  SUPERSEDED: 3,
  /** An instance, to its supervisor: drained as an operator has ordered, and not to be started again. */
  DRAINED: 4,
} as const;
