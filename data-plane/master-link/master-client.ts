import { fetchBounded } from "../../auth/bounded-fetch.ts";
import type { DrainRequest, LinkReport, PeerTicketGrant, RegisterRequest, WorldMapView } from "../../protocol/index.ts";
import {
  type ClusterProblem,
  type KnownCommand,
  parseHeartbeatResponse,
  parsePeerTicketGrant,
  parseProblem,
  parseRegisterResponse,
  parseWorldMap,
  type Registration,
} from "./master-answers.ts";
import { type SessionAnswer, SessionCallError, type SessionRequest } from "../authority/session-call.ts";
import { explainNoAnswer } from "./no-answer.ts";
import { encodeSessionRequest, parseSessionAnswers } from "./session-wire.ts";

/** The master refused, or could not be reached. */
export class MasterError extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** What the answer was, if it was a problem. */
  readonly problem: ClusterProblem | undefined;

  constructor(message: string, status: number, problem: ClusterProblem | undefined, options?: ErrorOptions) {
    super(message, options);
    this.name = "MasterError";
    this.status = status;
    this.problem = problem;
  }

  get code(): string | undefined {
    return this.problem?.code;
  }
}

/** What a call of a registered cluster shows. */
export interface ClusterSession {
  readonly clusterId: string;
  readonly sessionToken: string;
}

const requestTimeoutMs = 5_000;
/** A join waits for this one, and has 5 s in all. */
const keySetTimeoutMs = 3_000;
const maxAnswerBytes = 4_194_304;
/** The master waits 10 s for each player's session: one that does not answer must not take the others' answers along. */
const sessionsTimeoutMs = 15_000;
/** 32 saves, each with streams. */
const maxSessionsBytes = 64 * 1_024 * 1_024;

/**
 * The map of a world that is full: 1,024 certificates of 8,192 characters, each of which JSON may write as six, and 16,384 fragments. One that could not be
 * read would leave every cluster of the world with an old one. [WORLD-9]
 */
const maxWorldBytes = 64 * 1_024 * 1_024;
const worldTimeoutMs = 15_000;

interface CallBounds {
  readonly timeoutMs: number;
  /** Of the answer. */
  readonly maxBytes: number;
}

/** The calls of the master's HTTP interface that a cluster makes. Each has a deadline and throws {@link MasterError}, `sessions` a `SessionCallError`. */
export class MasterClient {
  readonly #origin: string;

  /** @param origin the master's, as `https://master.example.com` */
  constructor(origin: string) {
    this.#origin = origin;
  }

  async register(assertion: string, body: RegisterRequest): Promise<Registration> {
    return parseRegisterResponse(await this.#call("POST", "/v1/clusters/register", assertion, body));
  }

  async heartbeat(
    session: ClusterSession,
    report: LinkReport,
  ): Promise<{ readonly commands: readonly KnownCommand[] }> {
    const path = `${clusterPath(session)}/heartbeat`;
    return parseHeartbeatResponse(await this.#call("POST", path, session.sessionToken, report));
  }

  /** What players' sessions answer, in the order of the requests. @throws SessionCallError */
  async sessions(
    session: ClusterSession,
    requests: readonly SessionRequest<Uint8Array>[],
  ): Promise<readonly SessionAnswer<Uint8Array>[]> {
    const path = `${clusterPath(session)}/sessions`;
    const bounds = { timeoutMs: sessionsTimeoutMs, maxBytes: maxSessionsBytes };
    const body = { requests: requests.map(encodeSessionRequest) };
    try {
      return parseSessionAnswers(await this.#call("POST", path, session.sessionToken, body, bounds), requests);
    } catch (error) {
      throw sessionCallError(error);
    }
  }

  /** This process is about to end: others take over what it carries. A master of an earlier version answers 404. */
  async drain(session: ClusterSession, body: DrainRequest, timeoutMs: number): Promise<void> {
    await this.#call("POST", `${clusterPath(session)}/drain`, session.sessionToken, body, { timeoutMs });
  }

  async deregister(session: ClusterSession, timeoutMs: number): Promise<void> {
    await this.#call("DELETE", clusterPath(session), session.sessionToken, undefined, { timeoutMs });
  }

  /** Who carries what in the cluster's world. */
  async world(session: ClusterSession): Promise<WorldMapView> {
    const bounds = { timeoutMs: worldTimeoutMs, maxBytes: maxWorldBytes };
    const path = `${clusterPath(session)}/world`;
    return parseWorldMap(await this.#call("GET", path, session.sessionToken, undefined, bounds));
  }

  /** A ticket with which to open a link to another cluster of the world. */
  async peerTicket(session: ClusterSession, clusterId: string): Promise<PeerTicketGrant> {
    const path = `${clusterPath(session)}/peer-tickets`;
    return parsePeerTicketGrant(await this.#call("POST", path, session.sessionToken, { clusterId }));
  }

  /** The published key set, unparsed. */
  async keySet(): Promise<unknown> {
    return this.#call("GET", "/.well-known/jwks.json", undefined, undefined, { timeoutMs: keySetTimeoutMs });
  }

  /** Where the link is. */
  linkUrl(session: ClusterSession): string {
    return `${this.#origin.replace(/^http/, "ws")}${clusterPath(session)}/link`;
  }

  async #call(
    method: string,
    path: string,
    bearer: string | undefined,
    body: object | undefined,
    { timeoutMs = requestTimeoutMs, maxBytes = maxAnswerBytes }: Partial<CallBounds> = {},
  ): Promise<unknown> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (bearer !== undefined) headers["authorization"] = `Bearer ${bearer}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    let status: number;
    let answer: unknown;
    try {
      const url = `${this.#origin}${path}`;
      const response = await fetchBounded(fetch, url, init, { timeoutMs, maxBytes });
      ({ status } = response);
      answer = parseJson(await response.text());
    } catch (cause) {
      throw new MasterError(explainNoAnswer(cause, timeoutMs), 0, undefined, { cause });
    }
    if (status >= 200 && status < 300) return answer;
    const problem = parseProblem(answer);
    const text = problem === undefined ? `it answered ${status}` : `it answered ${status} ${problem.code}`;
    throw new MasterError(text, status, problem);
  }
}

/** What of an answer matters to who asked. What is none, or none that can be read, says nothing of who is there. */
function sessionCallError(cause: unknown): SessionCallError {
  const message = cause instanceof Error ? cause.message : "it failed";
  if (!(cause instanceof MasterError) || cause.status === 0) {
    return new SessionCallError(message, "away", undefined, { cause });
  }
  const { status, code } = cause;
  const isRefusal = status === 400 || status === 413 || status === 422;
  return new SessionCallError(message, isRefusal ? "refused" : "answered", code, { cause });
}

function clusterPath({ clusterId }: ClusterSession): string {
  return `/v1/clusters/${encodeURIComponent(clusterId)}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
