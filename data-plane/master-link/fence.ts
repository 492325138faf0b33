import { type FenceReason, fenceReasons } from "../../protocol/index.ts";

/** This process has to stop. `undefined`: a master of an earlier version does not say why. */
export interface Fence {
  readonly fencedBy: FenceReason | undefined;
}

/** What the reason of a close frame says; one of a later master is none that this version knows. */
export function parseFenceClose(reason: string): Fence {
  const [, given] = reason.split(" ");
  return { fencedBy: fenceReasons.find((known) => known === given) };
}

/** What has happened, and what to do about it, in one line. */
export function explainFence({ fencedBy }: Fence): string {
  switch (fencedBy) {
    case "newer-process":
      return `stopping: ${takenOver}; two that should both run need different [cluster] instance`;
    case "key-ended":
      return `stopping: ${keyEnded} (npx sustenet keys shows which); start again with a key that is enrolled`;
    case undefined:
      return `stopping: ${takenOver}, or ${keyEnded} (npx sustenet keys shows it); two that should both run need different [cluster] instance, a new start needs an enrolled key`;
  }
}

const takenOver = "a newer process with this key and instance has taken over";
const keyEnded = "this key was revoked, or its time after a rotation is over";
