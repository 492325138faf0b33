import { explainNoAnswer } from "../../data-plane/master-link/no-answer.ts";
import { exitCodes } from "../exit-codes.ts";

/** What the master, or the way to it, had to say. */
export class AdminError extends Error {
  override readonly name = "AdminError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

const timeoutMs = 30_000;
const maxAnswerChars = 4 * 1_024 * 1_024;

/** The operators' calls of a master. */
export class AdminApi {
  readonly #origin: string;
  readonly #token: string;

  constructor(origin: string, token: string) {
    this.#origin = origin;
    this.#token = token;
  }

  /** @throws AdminError */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.#fetch(path, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: body === undefined ? {} : { "content-type": "application/json" },
    });
    const text = await response.text();
    if (!response.ok) throw this.#refusalOf(response.status, text);
    if (text.length > maxAnswerChars) throw new AdminError("the answer is too long", exitCodes.FAILED);
    // The master's own word: its shape is that of /openapi.json.
    const answer: T = JSON.parse(text === "" ? "null" : text);
    return answer;
  }

  /** A stream of events, for as long as it lasts. @throws AdminError */
  async stream(path: string, lastEventId: string | undefined): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#fetch(path, {
      headers: lastEventId === undefined ? {} : { "last-event-id": lastEventId },
    });
    if (!response.ok || response.body === null) throw this.#refusalOf(response.status, await response.text());
    return response.body;
  }

  #refusalOf(status: number, text: string): AdminError {
    const problem = parseProblem(text);
    if (problem === undefined) {
      const detail = `${this.#origin} answered with status ${status}, and not as a master does: is that its address?`;
      return new AdminError(detail, exitCodes.FAILED);
    }
    const advice =
      problem.code === "UNAUTHENTICATED" ? " Get a new access token: docs/OPERATIONS.md, “Operators”, says how." : "";
    const detail = `${problem.code}: ${problem.detail}${advice} (request ${problem.requestId})`;
    return new AdminError(detail, exitCodes.FAILED);
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${this.#token}`);
    try {
      // A redirect would carry the token elsewhere.
      return await fetch(`${this.#origin}/v1/admin${path}`, { ...init, headers, redirect: "error" });
    } catch (error) {
      const reason = explainNoAnswer(error, timeoutMs);
      throw new AdminError(`the master at ${this.#origin} cannot be reached: ${reason}`, exitCodes.UNREACHABLE, {
        cause: error,
      });
    }
  }
}

function parseProblem(
  text: string,
): { readonly code: string; readonly detail: string; readonly requestId: string } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    const { code, detail, requestId }: { code?: unknown; detail?: unknown; requestId?: unknown } = value;
    if (typeof code !== "string" || typeof detail !== "string" || typeof requestId !== "string") return undefined;
    return { code, detail, requestId };
  } catch {
    return undefined;
  }
}
