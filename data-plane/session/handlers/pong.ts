import type { Pong } from "../../../protocol/index.ts";
import type { Session } from "../session.ts";

/** Shows that the peer lives, as every frame does; asked for or not, there is nothing more to it. [PING-4] */
export function handlePong(_session: Session, _pong: Pong): void {}
