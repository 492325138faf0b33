/** What a frame is to tell its viewer of leaves and enters, until the next one is decided. */
export interface Choice {
  /** 1 for each entry of the viewer's row that leaves. */
  readonly leaves: Uint8Array;
  readonly leaveCount: number;
  /** Slots of entities that enter, nearest first. */
  readonly enters: Int32Array;
  readonly enterCount: number;
  /** Squared distance of each entry of the viewer's row. */
  readonly distances: Float64Array;
}
