import { type CloseCode, type CodeAdvice, type ProblemAdvice, type ProblemCode } from "../../protocol/index.ts";

/**
 * What to do about an error: mend the call (`fix`), wait and repeat it (`retry`), log in (`login`), allocate again and join
 * with the new ticket (`allocate`), or give up (`stop`).
 */
export type ErrorAdvice = ProblemAdvice | CodeAdvice;

/** Codes of this library's own, beside the master's problems and the codes of REJECT and CLOSE. */
export const localCodes = {
  /** Master or cluster cannot be reached. */
  NETWORK: { advice: "retry", text: "The other side cannot be reached." },
  /** A deadline passed. */
  TIMEOUT: { advice: "retry", text: "It took too long." },
  /** The master answered something that is not of its contract. */
  BAD_ANSWER: { advice: "stop", text: "The answer is not what the master's contract says." },
  /** A code of a later version; the advice that comes with it holds. */
  UNKNOWN_CODE: { advice: "stop", text: "The answer has a code that this library does not know." },
  /** The call needs a login. */
  NOT_LOGGED_IN: { advice: "login", text: "Nobody is logged in." },
  /** An argument is not allowed. */
  INVALID_ARGUMENT: { advice: "fix", text: "An argument is not allowed." },
  /** A message is longer than the cluster takes. */
  MESSAGE_TOO_LARGE: { advice: "fix", text: "The message is longer than the cluster takes." },
  /** The cluster's certificate is not the one that the master named. The ticket was not sent. [TLS-3] */
  CERTIFICATE_MISMATCH: { advice: "stop", text: "The cluster's certificate is not the one that the master named." },
  /** The connection ended without REJECT or CLOSE, or nothing came for too long. */
  CONNECTION_LOST: { advice: "allocate", text: "The connection to the cluster was lost." },
  /** The cluster sent something malformed. */
  BAD_FRAME: { advice: "stop", text: "The cluster sent something malformed." },
  /** The cluster no longer takes what is sent: more is queued than is allowed. */
  QUEUE_FULL: { advice: "allocate", text: "The connection does not keep up with what is sent." },
  /** The cluster's handler of a request failed. */
  REQUEST_FAILED: { advice: "stop", text: "The cluster could not handle the request." },
  /** The cluster's game has nothing that handles such requests. */
  REQUEST_UNHANDLED: { advice: "fix", text: "The cluster does not handle such requests." },
  /** The cluster works on too many requests of this player. */
  REQUEST_BUSY: { advice: "retry", text: "The cluster works on too many requests of this player." },
  /** Too many requests are open here. */
  TOO_MANY_REQUESTS: { advice: "retry", text: "Too many requests are open: wait for one of them." },
  /** The cluster is of a version without this, or Node or the browser is too old. */
  UNSUPPORTED: { advice: "stop", text: "The cluster is of a version that cannot do this." },
  /** The session was left, or the wait for it was called off. */
  CLOSED: { advice: "stop", text: "The session was left." },
} as const satisfies Record<string, { readonly advice: ErrorAdvice; readonly text: string }>;

export type LocalCode = keyof typeof localCodes;

/** Stable; safe to branch on and to log. */
export type SustenetErrorCode = ProblemCode | CloseCode | LocalCode;

/** Who found the fault: the master (an HTTP problem), the cluster (REJECT or CLOSE), or this library. */
export type ErrorOrigin = "master" | "cluster" | "client";

interface ErrorFields {
  readonly origin: ErrorOrigin;
  readonly advice: ErrorAdvice;
  readonly detail: string;
  /** HTTP status, where there was one. */
  readonly status?: number | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly fields?: readonly { readonly field: string; readonly message: string }[] | undefined;
  readonly cause?: unknown;
}

/** Every error that this library throws. Carries no token, password or ticket. */
export class SustenetError extends Error {
  readonly code: SustenetErrorCode;
  readonly origin: ErrorOrigin;
  readonly advice: ErrorAdvice;
  /** What is wrong this time, in plain words. */
  readonly detail: string;
  /** HTTP status of the master's answer, where there was one. */
  readonly status: number | undefined;
  /** Names the request in the master's logs. */
  readonly requestId: string | undefined;
  /** Do not try again sooner; 0 when nothing was said. */
  readonly retryAfterMs: number;
  /** For `INVALID_FIELD`: each field, and what was expected. */
  readonly fields: readonly { readonly field: string; readonly message: string }[];

  constructor(code: SustenetErrorCode, fields: ErrorFields) {
    super(`${code}: ${fields.detail}`, { cause: fields.cause });
    this.name = "SustenetError";
    this.code = code;
    this.origin = fields.origin;
    this.advice = fields.advice;
    this.detail = fields.detail;
    this.status = fields.status;
    this.requestId = fields.requestId;
    this.retryAfterMs = fields.retryAfterMs ?? 0;
    this.fields = fields.fields ?? [];
  }
}

/** An error of this library's own; `detail` defaults to the code's text. */
export function localError(
  code: LocalCode,
  detail: string = localCodes[code].text,
  more: Partial<Omit<ErrorFields, "origin" | "detail">> = {},
): SustenetError {
  return new SustenetError(code, { origin: "client", advice: localCodes[code].advice, detail, ...more });
}
