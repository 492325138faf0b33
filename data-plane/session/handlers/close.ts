import type { Close } from "../../../protocol/index.ts";
import type { Session } from "../session.ts";

/** The client says goodbye: its player leaves at once, and the connection ends. [CLOSE-1] [CLOSE-2] */
export function handleClose(session: Session, _close: Close): void {
  session.leave("NORMAL");
}
