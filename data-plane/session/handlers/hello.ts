import type { Hello } from "../../../protocol/index.ts";
import type { Session } from "../session.ts";

/**
 * The first frame. Whether the versions meet is said only once the ticket is known to be genuine: it is one of the checks
 * of JOIN. [HELLO-3]
 */
export function handleHello(session: Session, hello: Hello): void {
  session.awaitJoin(hello);
}
