/** `fetch`, as Node and workerd have it. */
export type Fetch = typeof globalThis.fetch;

/** What an exchange may cost. */
export interface FetchBounds {
  /** Longest time to the last byte of the answer. */
  readonly timeoutMs: number;
  /** Longest answer. Stops a broken or hostile server from filling the memory. */
  readonly maxBytes: number;
}

/**
 * Fetches, and reads the whole answer within `bounds`. Redirects are not followed: they could carry keys elsewhere.
 *
 * @throws the error of `fetch`; a `TimeoutError`; or a RangeError when the answer is too long.
 */
export async function fetchBounded(
  fetch: Fetch,
  input: Parameters<Fetch>[0],
  init: Parameters<Fetch>[1],
  bounds: FetchBounds,
): Promise<Response> {
  const signal = AbortSignal.timeout(bounds.timeoutMs);
  // "manual", because workerd does not know "error".
  const response = await fetch(input, { ...init, redirect: "manual", signal });
  const { status, headers } = response;
  const body = await readBody(response, bounds.maxBytes, signal);
  return new Response(body.length === 0 ? null : body, { status, headers });
}

async function readBody(response: Response, maxBytes: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  if (response.body === null) return new Uint8Array();
  const pieces: Uint8Array[] = [];
  let length = 0;
  const reader = response.body.getReader();
  // Ends a read that waits; not every stream heeds the signal of the request that it came from.
  signal.addEventListener("abort", () => void reader.cancel().catch(() => {}));
  try {
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) break;
      length += value.length;
      if (length > maxBytes) throw new RangeError(`the answer is longer than ${maxBytes} bytes`);
      pieces.push(value);
    }
  } catch (error) {
    // The stream may have failed already, and what it says about being cancelled is of no interest.
    void reader.cancel().catch(() => {});
    throw error;
  }
  const body = new Uint8Array(length);
  let offset = 0;
  for (const piece of pieces) {
    body.set(piece, offset);
    offset += piece.length;
  }
  return body;
}
