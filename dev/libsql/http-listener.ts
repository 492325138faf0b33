import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";

/** A whole request, its body already read and within bounds. */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly remoteAddress: string;
  /** Aborts when the peer goes away or the listener closes. */
  readonly signal: AbortSignal;
}

export interface HttpReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is; absent means no body. */
  readonly body?: string;
}

export interface HttpListenerOptions {
  /** What listens, for error messages: "the local libSQL server". */
  readonly name: string;
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** A longer body is answered by `tooLarge` (stops a peer from filling memory). */
  readonly maxBodyBytes: number;
  readonly handle: (request: HttpRequest) => Promise<HttpReply>;
  readonly tooLarge: () => HttpReply;
  /** Answer to an exception of `handle`; the exception itself never reaches the peer. */
  readonly failed: (cause: unknown) => HttpReply;
}

export interface HttpListener {
  /** `http://host:port`, no slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

/** workerd keeps idle connections for about a minute: closing them sooner would race with its next request. */
const keepAliveTimeoutMs = 75_000;
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
const closeGraceMs = 2_000;
const maxConnections = 1_024;

/** Starts an HTTP server; rejects with a plain sentence when the address cannot be had. */
export async function startHttpListener(options: HttpListenerOptions): Promise<HttpListener> {
  const closing = new AbortController();
  const server = createServer(
    { keepAliveTimeout: keepAliveTimeoutMs, headersTimeout: headersTimeoutMs, requestTimeout: requestTimeoutMs },
    (request, response) => {
      void answer(request, response, options, closing.signal);
    },
  );
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(listenFailure(options, cause)));
    server.listen(options.port, options.host, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error(`${options.name} has no port`);
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${address.port}`,
    close: () =>
      new Promise<void>((resolve) => {
        if (closing.signal.aborted) return resolve();
        closing.abort();
        const force = setTimeout(() => server.closeAllConnections(), closeGraceMs);
        server.close(() => {
          clearTimeout(force);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

function listenFailure(options: HttpListenerOptions, cause: Error): Error {
  const place = `${options.host}:${options.port}`;
  const code = "code" in cause ? cause.code : undefined;
  if (code === "EADDRINUSE") {
    return new Error(
      `${options.name} cannot listen on ${place}: the port is taken. Stop what uses it, or choose another.`,
      {
        cause,
      },
    );
  }
  return new Error(`${options.name} cannot listen on ${place}: ${cause.message}`, { cause });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: HttpListenerOptions,
  closing: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  try {
    const url = URL.parse(request.url ?? "/", "http://localhost");
    if (url === null) return send(request, response, { status: 400 }, true);
    const body = await readBody(request, options.maxBodyBytes);
    if (body === undefined) {
      // What still comes is thrown away, until the request timeout: closing at once would lose the answer.
      request.resume();
      return send(request, response, options.tooLarge(), closing.aborted);
    }
    const reply = await options.handle({
      method: request.method ?? "GET",
      url,
      headers: request.headers,
      body,
      remoteAddress: request.socket.remoteAddress ?? "",
      signal: AbortSignal.any([gone.signal, closing]),
    });
    send(request, response, reply, closing.aborted);
  } catch (cause) {
    if (request.errored !== null || response.destroyed) return;
    send(request, response, options.failed(cause), closing.aborted);
  }
}

/** The body, or `undefined` when it is longer than allowed; the announced length is checked before anything is read. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return undefined;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      resolve(undefined);
    });
    request.once("end", () => resolve(Buffer.concat(chunks)));
    request.once("error", reject);
  });
}

function send(request: IncomingMessage, response: ServerResponse, reply: HttpReply, last: boolean): void {
  if (response.destroyed || response.headersSent) return;
  const body = reply.body ?? "";
  response.writeHead(reply.status, {
    ...reply.headers,
    "content-length": Buffer.byteLength(body),
    ...(last ? { connection: "close" } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
