import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { explainNoAnswer } from "../../data-plane/master-link/no-answer.ts";
import { exitCodes } from "../exit-codes.ts";

/** What the master, or the way to it, had to say. */
export class AdminError extends Error {
  override readonly name = "AdminError";
  readonly exitCode: number;
  /** Whether the same may succeed later. */
  readonly passes: boolean;

  constructor(message: string, exitCode: number, options: ErrorOptions & { readonly passes?: boolean } = {}) {
    super(message, options);
    this.exitCode = exitCode;
    this.passes = options.passes ?? exitCode === exitCodes.UNREACHABLE;
  }
}

const timeoutMs = 30_000;
/** How often an order is given whose answer is lost. */
const orderAttempts = 3;
const orderPauseMs = 1_000;
const maxAnswerChars = 4 * 1_024 * 1_024;

/** The operators' calls of a master. */
export class AdminApi {
  readonly #origin: string;
  readonly #token: string;
  readonly #pause: (ms: number) => Promise<unknown>;

  constructor(origin: string, token: string, pause: (ms: number) => Promise<unknown> = setTimeout) {
    this.#origin = origin;
    this.#token = token;
    this.#pause = pause;
  }

  /**
   * Gives an order that must not be carried out twice: under a key of its own, so it is repeated where its answer is lost.
   *
   * @throws AdminError
   */
  async order<T>(method: string, path: string, body?: unknown): Promise<T> {
    const key = randomUUID();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.call<T>(method, path, body, { "idempotency-key": key });
      } catch (error) {
        const isLost = error instanceof AdminError && error.exitCode === exitCodes.UNREACHABLE;
        if (!isLost || attempt === orderAttempts) throw error;
        await this.#pause(orderPauseMs * attempt * (0.5 + Math.random()));
      }
    }
  }

  /** @throws AdminError */
  async call<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const response = await this.#fetch(path, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
    });
    const text = await this.#textOf(response);
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
    if (!response.ok || response.body === null) throw this.#refusalOf(response.status, await this.#textOf(response));
    return response.body;
  }

  /** @throws AdminError when the answer breaks off */
  async #textOf(response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (error) {
      throw this.#lost(error);
    }
  }

  #lost(error: unknown): AdminError {
    const reason = explainNoAnswer(error, timeoutMs);
    const message = `the master at ${this.#origin} cannot be reached: ${reason}`;
    return new AdminError(message, exitCodes.UNREACHABLE, { cause: error });
  }

  #refusalOf(status: number, text: string): AdminError {
    const problem = parseProblem(text);
    const passes = status === 429 || status >= 500;
    if (problem === undefined) {
      const detail = `${this.#origin} answered with status ${status}, and not as a master does: is that its address?`;
      return new AdminError(detail, exitCodes.FAILED, { passes });
    }
    const detail = `${problem.code}: ${withCommands(problem.code, problem.detail)} (request ${problem.requestId})`;
    return new AdminError(detail, exitCodes.FAILED, { passes });
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${this.#token}`);
    try {
      // A redirect would carry the token elsewhere.
      return await fetch(`${this.#origin}/v1/admin${path}`, { ...init, headers, redirect: "error" });
    } catch (error) {
      throw this.#lost(error);
    }
  }
}

/** What the master says, with what to type in place of what to call. */
function withCommands(code: string, detail: string): string {
  const said = detail
    .replaceAll(/\bGET \/v1\/admin\/(clusters|keys|signing-keys)\b/g, "npx sustenet $1")
    .replaceAll(/\bGET \/v1\/admin\/worlds\/(?=\S)/g, "npx sustenet world ");
  if (code === "UNAUTHENTICATED")
    return `${said} Get a new access token: docs/OPERATIONS.md, “Operators”, says how; at a local master, npm run operator writes one.`;
  const isLost = code === "CLUSTER_NOT_FOUND" && !said.includes("npx sustenet");
  return isLost ? `${said} npx sustenet clusters lists those that there are.` : said;
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
