import { errorOfAnswer, parseRetryAfter } from "./answers.ts";
import { type Clock, withDeadline } from "./clock.ts";
import { localError, SustenetError } from "./error.ts";
import { isLoopbackHost } from "../../protocol/index.ts";

/** The part of `fetch` that is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** One call to the master. */
export interface MasterRequest {
  readonly method: "GET" | "POST" | "DELETE";
  /** Below the master's URL, such as `/v1/login`. */
  readonly path: string;
  readonly body?: object | undefined;
  readonly accessToken?: string | undefined;
  readonly idempotencyKey?: string | undefined;
}

/** Longest answer that is read. Stops an answer without an end. */
const maxAnswerBytes = 4 * 1024 * 1024;

/** Calls the master's HTTP interface, with a deadline for each call. */
export class MasterHttp {
  readonly #origin: string;
  readonly #fetch: Fetch;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(options: {
    readonly masterUrl: string;
    readonly fetch: Fetch;
    readonly clock: Clock;
    readonly timeoutMs: number;
  }) {
    this.#origin = parseMasterUrl(options.masterUrl);
    this.#fetch = options.fetch;
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
  }

  /**
   * The JSON of a 2xx answer; undefined where it has no body.
   *
   * @throws SustenetError the problem's code, `NETWORK`, `TIMEOUT`, `BAD_ANSWER`, or `CLOSED` when `parent` aborts.
   */
  async call(request: MasterRequest, parent?: AbortSignal): Promise<unknown> {
    const doing = `${request.method} ${request.path}`;
    return withDeadline(this.#clock, this.#timeoutMs, doing, (signal) => this.#exchange(request, signal), parent);
  }

  async #exchange(request: MasterRequest, signal: AbortSignal): Promise<unknown> {
    let response: Response;
    let text: string;
    try {
      response = await this.#fetch(this.#origin + request.path, {
        method: request.method,
        headers: headersOf(request),
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal,
        // A redirect would carry the token or the password to wherever it points.
        redirect: "error",
        credentials: "omit",
        cache: "no-store",
      });
      text = await readText(response);
    } catch (cause) {
      if (cause instanceof SustenetError) throw cause;
      throw localError("NETWORK", `The master at ${this.#origin} cannot be reached.`, { cause });
    }
    const { ok, status, headers } = response;
    const value = parseJson(text);
    if (!ok) throw errorOfAnswer(status, value, parseRetryAfter(headers.get("retry-after"), this.#clock.wallMs()));
    if (value === undefined && text !== "") throw localError("BAD_ANSWER", "The answer is not JSON.", { status });
    return value;
  }
}

/**
 * The origin of the master's URL. Plain HTTP is for loopback addresses alone: passwords and tickets go this way.
 *
 * @throws SustenetError `INVALID_ARGUMENT`
 */
function parseMasterUrl(masterUrl: string): string {
  const url = URL.parse(masterUrl);
  if (url === null) throw localError("INVALID_ARGUMENT", "masterUrl is not a URL.");
  const { protocol, hostname, origin } = url;
  if (protocol !== "https:" && !(protocol === "http:" && isLoopbackHost(hostname))) {
    throw localError("INVALID_ARGUMENT", "masterUrl must start with https:// (http:// only for a loopback address).");
  }
  return origin;
}

function headersOf(request: MasterRequest): Record<string, string> {
  const headers: Record<string, string> = { accept: "application/json, application/problem+json" };
  if (request.body !== undefined) headers["content-type"] = "application/json";
  if (request.accessToken !== undefined) headers["authorization"] = `Bearer ${request.accessToken}`;
  if (request.idempotencyKey !== undefined) headers["idempotency-key"] = request.idempotencyKey;
  return headers;
}

async function readText(response: Response): Promise<string> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > maxAnswerBytes) {
      await reader.cancel();
      throw localError("BAD_ANSWER", "The answer is too long.", { status: response.status });
    }
    text += decoder.decode(value, { stream: true });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
