import type { Resume } from "../../../protocol/index.ts";
import { runResume } from "../resume-steps.ts";
import type { Session } from "../session.ts";

/** The second frame of a client that comes back. */
export function handleResume(session: Session, resume: Resume): void {
  session.beginVerifying();
  runResume(session, resume);
}
