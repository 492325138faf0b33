import type { Arrive } from "../../../protocol/index.ts";
import { runArrive } from "../arrive-steps.ts";
import type { Session } from "../session.ts";

/** The second frame of a client that another cluster has sent here. */
export function handleArrive(session: Session, arrive: Arrive): void {
  session.beginVerifying();
  runArrive(session, arrive).catch((error: unknown) => {
    session.context.log.error({ event: "arrival-failed", err: error }, "an arrival could not be handled");
    session.refuse("INTERNAL", false);
  });
}
