import { nextSessionGeneration } from "../../protocol/handover/generation.ts";
import type { SessionState } from "../../protocol/handover/session-state.ts";

/** The generation for a new ticket, and the state to keep before it goes out, as a master does. [HAND-2] */
export function issueGeneration<Body>(state: SessionState<Body>): {
  readonly state: SessionState<Body>;
  readonly generation: number;
} {
  const generation = nextSessionGeneration(state.issued);
  return { state: { ...state, issued: generation }, generation };
}
