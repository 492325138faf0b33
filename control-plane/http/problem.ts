import type { Context } from "hono";
import { type Problem, type ProblemCode, problems } from "../../protocol/index.ts";

/** Thrown by routes; answered as RFC 9457 problem+json. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors: Problem["errors"];
  readonly retryAfterSeconds: number | undefined;

  /** `detail` is fit for the caller: what is wrong this time and what to do. `cause` is for the log. */
  constructor(
    code: ProblemCode,
    detail: string,
    more: {
      readonly errors?: Problem["errors"];
      readonly retryAfterSeconds?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(`${code}: ${detail}`, { cause: more.cause });
    this.code = code;
    this.detail = detail;
    this.errors = more.errors;
    this.retryAfterSeconds = more.retryAfterSeconds;
  }
}

const typeBase = "https://github.com/Quaint-Studios/Sustenet/blob/main/docs/ERRORS.md#";

/** The body of a problem's answer. */
export function problemOf(error: ProblemError, requestId: string): Problem {
  const { code, detail, errors, retryAfterSeconds } = error;
  const { status, title } = problems[code];
  return {
    type: typeBase + code.toLowerCase(),
    title,
    status,
    code,
    detail,
    requestId,
    ...(errors === undefined ? {} : { errors }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
}

/** The answer itself. */
export function problemResponse(context: Context, error: ProblemError, requestId: string): Response {
  const problem = problemOf(error, requestId);
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (problem.retryAfterSeconds !== undefined) headers["retry-after"] = String(problem.retryAfterSeconds);
  if (problem.status === 401) headers["www-authenticate"] = "Bearer";
  return context.newResponse(JSON.stringify(problem), problems[error.code].status, headers);
}

/** The problem of an object's refusal. */
export function problemOfRefusal(refusal: {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly retryAfterSeconds?: number | undefined;
}): ProblemError {
  return new ProblemError(refusal.code, refusal.detail, { retryAfterSeconds: refusal.retryAfterSeconds });
}
