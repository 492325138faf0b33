/** Work done so far, counted in operations: for metrics, and for tests of how cost grows. */
export interface Work {
  /** Entities and entries looked at by searches. */
  examined: number;
  /** Entities encoded: whole, or as the changes since a tick. */
  encoded: number;
  leaves: number;
  enters: number;
  updates: number;
  /** Enters and updates that were due and did not fit a frame. */
  deferred: number;
  frames: number;
  bytes: number;
}

export function createWork(): Work {
  return { examined: 0, encoded: 0, leaves: 0, enters: 0, updates: 0, deferred: 0, frames: 0, bytes: 0 };
}
