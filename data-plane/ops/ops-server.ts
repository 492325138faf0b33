import { createServer, type RequestListener, type ServerResponse } from "node:http";
import { ListenError } from "../net/gate.ts";

/** Whether players can join, and if not, why. */
export interface Readiness {
  readonly ready: boolean;
  /** `ready`, or what is in the way: `starting`, `not-registered`, `draining`. */
  readonly state: string;
}

export interface OpsServerOptions {
  readonly host: string;
  /** 0 means whichever is free. */
  readonly port: number;
  readonly readiness: () => Readiness;
  /** The metrics in the text format of Prometheus. */
  readonly metrics: () => string;
  /** Who is where in the world. */
  readonly world: () => object;
}

/** Health, readiness and metrics over plain HTTP, for the machine's own monitoring. */
export interface OpsServer {
  readonly port: number;
  close(): void;
}

/** Stops strangers from holding sockets open here; monitoring needs a few. */
const maxConnections = 32;
const requestTimeoutMs = 5_000;

/**
 * `GET /health` answers 200 for as long as the event loop turns, `GET /ready` 200 while players can join and else 503,
 * `GET /metrics` all counters, `GET /world` who is in which fragment.
 *
 * @throws ListenError
 */
export async function createOpsServer(options: OpsServerOptions): Promise<OpsServer> {
  const server = createServer(
    { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs, keepAliveTimeout: 75_000 },
    answerWith(options),
  );
  server.maxConnections = maxConnections;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (error: NodeJS.ErrnoException) => {
    const reason = error.code === "EADDRINUSE" ? "another process has it" : `the system says ${error.code ?? "no"}`;
    const text = `Cannot listen for health and metrics at ${options.host} port ${options.port}: ${reason}; set another [cluster] ops_port.`;
    reject(new ListenError(text, { cause: error }));
  });
  server.listen(options.port, options.host, resolve);
  await promise;
  server.removeAllListeners("error");
  server.on("error", () => undefined);
  const address = server.address();
  return {
    port: address === null || typeof address === "string" ? 0 : address.port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function answerWith({ readiness, metrics, world }: OpsServerOptions): RequestListener {
  return (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      sendJson(response, 405, { error: "expected GET or HEAD" });
      return;
    }
    const [path] = (request.url ?? "").split("?", 1);
    if (path === "/health") {
      sendJson(response, 200, { status: "ok" });
    } else if (path === "/ready") {
      const { ready, state } = readiness();
      sendJson(response, ready ? 200 : 503, { status: state });
    } else if (path === "/metrics") {
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
      response.end(metrics());
    } else if (path === "/world") {
      sendJson(response, 200, world());
    } else {
      sendJson(response, 404, { error: "expected /health, /ready, /metrics or /world" });
    }
  };
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}
