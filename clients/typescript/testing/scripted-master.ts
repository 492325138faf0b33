import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Allocation, PlayerSessionTokens, ProblemCode } from "../../../protocol/index.ts";
import { problems } from "../../../protocol/index.ts";
import { listen } from "./scripted-cluster.ts";

/** One value for the whole file, so that two samples are equal whenever they are made. */
const anHourFromStart = Math.floor(Date.now() / 1_000) + 3_600;

/** What came in. */
export interface SeenRequest {
  /** Such as `POST /v1/login`. */
  readonly route: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}

/** What goes out: an answer, a connection that breaks (`drop`), or nothing at all (`silence`). */
export type Answer =
  | { readonly status: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> }
  | "drop"
  | "silence";

/** A master that answers what the test says, over real HTTP. */
export interface ScriptedMaster {
  readonly url: string;
  readonly seen: SeenRequest[];
  /** The requests of one route. */
  of(route: string): SeenRequest[];
  close(): Promise<void>;
}

/** Starts a master on a free port. `answer` gets how many requests of that route came before. */
export async function startScriptedMaster(
  answer: (request: SeenRequest, index: number) => Answer | Promise<Answer>,
): Promise<ScriptedMaster> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    void handle(request, response);
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const text = Buffer.concat(chunks).toString();
    const route = `${request.method} ${request.url}`;
    const body: unknown = text === "" ? undefined : JSON.parse(text);
    const index = seen.filter((one) => one.route === route).length;
    const entry = { route, headers: request.headers, body };
    seen.push(entry);
    const reply = await answer(entry, index);
    if (reply === "silence") return;
    if (reply === "drop") return void request.socket.destroy();
    const { status, headers } = reply;
    response.writeHead(status, { "content-type": "application/json", ...headers });
    if (typeof reply.body === "string") response.end(reply.body);
    else response.end(reply.body === undefined ? undefined : JSON.stringify(reply.body));
  }

  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    of: (route) => seen.filter((one) => one.route === route),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** A problem as the master answers it. */
export function problem(code: ProblemCode, more: object = {}): Exclude<Answer, string> {
  const { status, title } = problems[code];
  return { status, body: { type: "about:blank", title, status, code, detail: title, requestId: "req-1", ...more } };
}

export function sampleTokens(name: string, changes: Partial<PlayerSessionTokens> = {}): PlayerSessionTokens {
  return {
    accessToken: `access-${name}`,
    refreshToken: `refresh-${name}`,
    expiresAt: anHourFromStart,
    player: { id: "player-1", email: null, anonymous: true, displayName: "Ada" },
    ...changes,
  };
}

export function sampleAllocation(cluster: Allocation["cluster"], ticket = "ticket-1"): Allocation {
  return { ticket, reservationId: `rsv-${ticket}`, expiresAt: anHourFromStart, cluster };
}
