/**
 * A request that no correct client sends: answered by HTTP 400, and its stream is closed.
 * The same split as in the real server: see the Hrana specification, "protocol errors".
 */
export class ProtocolFault extends Error {
  override readonly name = "ProtocolFault";
}

/** The stream of this baton was closed because nobody used it for too long. */
export class StreamExpired extends Error {
  override readonly name = "StreamExpired";
  readonly code = "STREAM_EXPIRED";
  constructor() {
    super("The stream has expired due to inactivity");
  }
}

/** All streams are in use: answered by HTTP 503. */
export class TooManyStreams extends Error {
  override readonly name = "TooManyStreams";
}

/** A statement that failed: its result is an error, the stream lives on. */
export class StatementFault extends Error {
  override readonly name = "StatementFault";
  /** As the real server names it, such as `SQLITE_CONSTRAINT` or `SQL_PARSE_ERROR`. */
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
