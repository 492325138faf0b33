/**
 * The functions that a simulation drives: production's, and the model of a client around its production route. A mutant replaces some of
 * them, to prove that the checks can fail.
 */
import { stepClient } from "./model-client.ts";
import { stepDestination } from "../../protocol/handover/destination.ts";
import { chooseStart } from "../../protocol/handover/entry.ts";
import { stepSession } from "../../protocol/handover/session.ts";
import { stepSource } from "../../protocol/handover/source.ts";
import { judgeInput, resumeStreams } from "../../protocol/handover/streams.ts";
import type { History } from "./world.ts";

export interface Parts {
  readonly stepSource: typeof stepSource<History>;
  readonly stepDestination: typeof stepDestination<History>;
  readonly stepSession: typeof stepSession<History>;
  readonly stepClient: typeof stepClient<History>;
  readonly chooseStart: typeof chooseStart<History>;
  readonly judgeInput: typeof judgeInput;
  readonly resumeStreams: typeof resumeStreams<History>;
}

export const faithful: Parts = {
  stepSource,
  stepDestination,
  stepSession,
  stepClient,
  chooseStart,
  judgeInput,
  resumeStreams,
};
