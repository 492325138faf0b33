import { FrameTarget } from "../fragments/view-writer.ts";

/** Small enough that one slow reader does not keep much memory from being freed. */
const slabBytes = 65_536;

/**
 * Memory for frames that are written one behind the other. What has been handed out is never written again, so that a frame
 * may wait to be sent for as long as it has to.
 */
export class FrameSlab {
  target = createTarget(slabBytes);
  offset = 0;

  /** Makes sure that so many bytes can be written from `offset` on. */
  reserve(bytes: number): void {
    if (this.offset + bytes <= this.target.bytes.length) return;
    this.target = createTarget(Math.max(slabBytes, bytes));
    this.offset = 0;
  }

  /** Hands out what was written up to `end`. */
  take(end: number): Uint8Array {
    const frame = this.target.bytes.subarray(this.offset, end);
    this.offset = end;
    return frame;
  }
}

function createTarget(bytes: number): FrameTarget {
  return new FrameTarget(Buffer.allocUnsafeSlow(bytes));
}
