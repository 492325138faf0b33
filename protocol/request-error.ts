/** Why a request has no answer. */
export type RequestErrorCode =
  /** Nothing came within its time, or the other side gave up for that reason. */
  | "TIMEOUT"
  /** The caller called it off. */
  | "CANCELLED"
  /** Too many are open already: wait for one of them. */
  | "TOO_MANY"
  /** The other side has too many open: ask again later. */
  | "BUSY"
  /** The other side has nothing that handles requests of this kind. */
  | "UNHANDLED"
  /** The other side's handler failed. */
  | "FAILED"
  /** The other side speaks a version without requests. */
  | "UNSUPPORTED"
  /** The session has ended; whether the request was handled is not known. */
  | "ENDED"
  /** The player has gone on to another cluster meanwhile; whether the request was handled is not known. Ask again there. */
  | "MOVED"
  /** More waits to be sent than is allowed. */
  | "QUEUE_FULL";

const texts: Readonly<Record<RequestErrorCode, string>> = {
  TIMEOUT: "The request was not answered in time.",
  CANCELLED: "The request was called off.",
  TOO_MANY: "Too many requests are open: wait for one of them.",
  BUSY: "The other side has too many requests open: ask again later.",
  UNHANDLED: "The other side does not handle such requests.",
  FAILED: "The other side could not handle the request.",
  UNSUPPORTED: "The other side speaks a version without requests.",
  ENDED: "The session ended before the answer came.",
  MOVED: "The player went to another cluster before the answer came.",
  QUEUE_FULL: "More waits to be sent than is allowed.",
};

/** What a request that has no answer is rejected with. */
export class RequestError extends Error {
  readonly code: RequestErrorCode;

  constructor(code: RequestErrorCode) {
    super(texts[code]);
    this.name = "RequestError";
    this.code = code;
  }
}
