/** A refusal, as Supabase Auth words it. */
export class AuthError extends Error {
  override readonly name = "AuthError";
  readonly status: number;
  /** One of Supabase's documented error codes. */
  readonly code: string;
  /** Why a password is too weak; only with `weak_password`. */
  readonly reasons: readonly string[] | undefined;

  constructor(status: number, code: string, message: string, reasons?: readonly string[]) {
    super(message);
    this.status = status;
    this.code = code;
    this.reasons = reasons;
  }
}

export const apiVersionHeader = "x-supabase-api-version";
const apiVersion = "2024-01-01";

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/**
 * Clients that announce version 2024-01-01 or later get `{code, message}`, and the version back; older ones, and those
 * that send no valid date, get the status as `code` and the code as `error_code`.
 */
export function describeAuthError(error: AuthError, announced: string | undefined): ErrorAnswer {
  const weak = error.reasons === undefined ? {} : { weak_password: { reasons: error.reasons } };
  if (isCurrent(announced)) {
    return {
      status: error.status,
      headers: { [apiVersionHeader]: apiVersion },
      body: { code: error.code, message: error.message, ...weak },
    };
  }
  const body = { code: error.status, error_code: error.code, msg: error.message, ...weak };
  return { status: error.status, headers: {}, body };
}

function isCurrent(announced: string | undefined): boolean {
  if (announced === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(announced)) return false;
  return !Number.isNaN(Date.parse(announced)) && announced >= apiVersion;
}
