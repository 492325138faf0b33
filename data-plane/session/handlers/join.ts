import type { Join } from "../../../protocol/index.ts";
import { runJoin } from "../join-steps.ts";
import type { Session } from "../session.ts";

/** The second frame: the ticket is checked in the order of docs/PROTOCOL.md, section 6. */
export function handleJoin(session: Session, join: Join): void {
  session.beginVerifying();
  runJoin(session, join).catch((error: unknown) => {
    session.context.log.error({ event: "join-failed", err: error }, "a join could not be handled");
    session.refuse("INTERNAL", false);
  });
}
