/** Why bytes were refused. Stable: logged, counted and named in the vectors. */
export type ProtocolErrorCode =
  | "FRAME_EMPTY"
  | "FRAME_TOO_LARGE"
  | "UNKNOWN_TYPE"
  | "UNEXPECTED_TYPE"
  | "TRUNCATED"
  | "TRAILING_BYTES"
  | "BAD_UTF8"
  | "BAD_NUMBER"
  | "BAD_VALUE";

/** Thrown by parsers for malformed input, and by encoders for values that the wire cannot carry. */
export class ProtocolError extends Error {
  readonly code: ProtocolErrorCode;

  constructor(code: ProtocolErrorCode, message: string) {
    super(message);
    this.name = "ProtocolError";
    this.code = code;
  }
}
