/**
 * Reads the master's answers. They come over HTTPS from a master that the game chose, but a proxy or a later version may
 * have made them: each field is checked, fields that are not known are passed over. Errors name fields, never values.
 */
import {
  type Allocation,
  type ClusterListing,
  limits,
  type PartyHeld,
  partyStates,
  type PartyView,
  type PlayerIdentity,
  type PlayerSessionTokens,
  type ProblemAdvice,
  type ProblemCode,
  problems,
  type Waiting,
} from "../../protocol/index.ts";
import { localError, SustenetError } from "./error.ts";

/** Of sign-up, login and refresh. */
export function parseTokens(value: unknown): PlayerSessionTokens {
  const answer = new Fields(value, "");
  return {
    accessToken: answer.text("accessToken"),
    refreshToken: answer.text("refreshToken"),
    expiresAt: answer.number("expiresAt"),
    player: parseIdentity(answer.member("player")),
  };
}

/** 202 of sign-up: the account is made, and waits for its e-mail address to be confirmed. */
export function isConfirmationRequired(value: unknown): boolean {
  return isRecord(value) && value["status"] === "confirmation-required";
}

function parseIdentity(player: Fields): PlayerIdentity {
  return {
    id: player.text("id"),
    email: player.isNull("email") ? null : player.text("email"),
    anonymous: player.flag("anonymous"),
    displayName: player.text("displayName", 0),
  };
}

/** Of `GET /v1/clusters`: `{clusters: […]}`. */
export function parseClusters(value: unknown): ClusterListing[] {
  return new Fields(value, "").list("clusters").map((entry) => {
    const ping = entry.member("ping");
    return {
      id: entry.text("id"),
      name: entry.text("name", 0),
      region: entry.text("region", 0),
      players: entry.number("players"),
      capacity: entry.number("capacity"),
      locked: entry.flag("locked"),
      tags: entry.texts("tags"),
      ping: { host: ping.text("host"), port: parsePort(ping) },
    };
  });
}

/** 200 of `POST /v1/allocate`. */
export function parseAllocation(value: unknown): Allocation {
  const answer = new Fields(value, "");
  const cluster = answer.member("cluster");
  const tls = cluster.member("tls");
  const ticket = answer.text("ticket");
  if (ticket.length > limits.maxTicketBytes || !/^[\x21-\x7e]+$/.test(ticket)) throw answer.fault("ticket");
  const caPem = tls.text("caPem");
  // Without a certificate in it, Node would fall back to the authorities that it trusts by itself.
  if (!caPem.includes("-----BEGIN CERTIFICATE-----")) throw tls.fault("caPem");
  const sha256 = tls.text("sha256");
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw tls.fault("sha256");
  return {
    ticket,
    reservationId: answer.text("reservationId"),
    ...(answer.has("generation") ? { generation: answer.number("generation") } : {}),
    expiresAt: answer.number("expiresAt"),
    cluster: {
      id: cluster.text("id"),
      name: cluster.text("name", 0),
      host: cluster.text("host"),
      port: parsePort(cluster),
      tls: { serverName: tls.text("serverName"), caPem, sha256 },
      ...(cluster.has("wssUrl") ? { wssUrl: cluster.text("wssUrl") } : {}),
    },
  };
}

/** 202 of an allocation: a place in the waiting room; `undefined` where it is something else. */
export function parseWaiting(value: unknown): Waiting | undefined {
  if (!isRecord(value) || value["status"] !== "waiting") return undefined;
  const answer = new Fields(value, "");
  return {
    status: "waiting",
    reservationId: answer.text("reservationId"),
    place: answer.text("place"),
    position: answer.number("position"),
    estimateSeconds: answer.isNull("estimateSeconds") ? null : answer.number("estimateSeconds"),
    // A master that says less would be asked without end.
    retryAfterSeconds: Math.max(1, answer.number("retryAfterSeconds")),
  };
}

/** Of a party's routes. */
export function parseParty(value: unknown): PartyView {
  const answer = new Fields(value, "");
  const state = partyStates.find((each) => each === answer.text("state"));
  if (state === undefined) throw answer.fault("state");
  const hold = answer.has("hold") ? answer.member("hold") : undefined;
  return {
    id: answer.text("id"),
    code: answer.text("code"),
    size: answer.number("size"),
    state,
    leaderId: answer.text("leaderId"),
    members: answer.list("members").map((member) => ({
      playerId: member.text("playerId"),
      displayName: member.text("displayName", 0),
      claimed: member.flag("claimed"),
    })),
    ...(hold === undefined ? {} : { hold: { clusterId: hold.text("clusterId"), expiresAt: hold.number("expiresAt") } }),
    expiresAt: answer.number("expiresAt"),
  };
}

/** 200 of a party's allocation. */
export function parsePartyHeld(value: unknown): PartyHeld {
  const answer = new Fields(value, "");
  const cluster = answer.member("cluster");
  return {
    status: "held",
    cluster: { id: cluster.text("id"), name: cluster.text("name", 0) },
    expiresAt: answer.number("expiresAt"),
    members: answer.texts("members"),
  };
}

function parsePort(owner: Fields): number {
  const port = owner.number("port");
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw owner.fault("port");
  return port;
}

/** The error of an answer that is not 2xx; of an RFC 9457 problem if it is one. */
export function errorOfAnswer(status: number, value: unknown, retryAfterMs: number | undefined): SustenetError {
  if (!isRecord(value) || typeof value["code"] !== "string") {
    // From something between us and the master, such as a proxy.
    const advice = status >= 500 || status === 429 ? "retry" : "stop";
    return localError("BAD_ANSWER", `HTTP status ${status}, but not from a master: is masterUrl right?`, {
      status,
      retryAfterMs,
      advice,
    });
  }
  const { code, detail, title, requestId, retryAfterSeconds, errors } = value;
  const known = isProblemCode(code) ? code : undefined;
  const seconds = typeof retryAfterSeconds === "number" && retryAfterSeconds >= 0 ? retryAfterSeconds : undefined;
  return new SustenetError(known ?? "UNKNOWN_CODE", {
    origin: "master",
    advice: known === undefined ? adviceOfStatus(status) : problems[known].advice,
    detail: firstText(detail, title) ?? `HTTP status ${status}`,
    status,
    requestId: firstText(requestId),
    retryAfterMs: seconds === undefined ? retryAfterMs : seconds * 1_000,
    fields: parseFieldErrors(errors),
  });
}

/** Milliseconds of a `Retry-After` header, which has seconds or a date; undefined for anything else. */
export function parseRetryAfter(header: string | null, wallMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - wallMs);
}

function parseFieldErrors(value: unknown): { field: string; message: string }[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, 50).flatMap((entry: unknown) => {
    if (!isRecord(entry)) return [];
    const field = firstText(entry["field"]);
    const message = firstText(entry["message"]);
    return field === undefined || message === undefined ? [] : [{ field, message }];
  });
}

function adviceOfStatus(status: number): ProblemAdvice {
  if (status >= 500 || status === 429) return "retry";
  return status === 401 ? "login" : "stop";
}

/** The first that is a text with something in it; cut, so that no answer can flood a log. */
function firstText(...values: readonly unknown[]): string | undefined {
  for (const value of values) {
    if (typeof value === "string" && value !== "") return value.slice(0, 500);
  }
  return undefined;
}

function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(problems, code);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The members of a JSON object; each getter throws `BAD_ANSWER` with the member's path. */
class Fields {
  readonly #members: Record<string, unknown>;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.#path = path;
    if (!isRecord(value)) throw localError("BAD_ANSWER", `${path === "" ? "The answer" : path} is not an object.`);
    this.#members = value;
  }

  has(name: string): boolean {
    return this.#members[name] !== undefined;
  }

  isNull(name: string): boolean {
    return this.#members[name] === null;
  }

  text(name: string, minLength = 1): string {
    const value = this.#members[name];
    if (typeof value !== "string" || value.length < minLength) throw this.fault(name);
    return value;
  }

  number(name: string): number {
    const value = this.#members[name];
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.fault(name);
    return value;
  }

  flag(name: string): boolean {
    const value = this.#members[name];
    if (typeof value !== "boolean") throw this.fault(name);
    return value;
  }

  member(name: string): Fields {
    return new Fields(this.#members[name], this.#pathOf(name));
  }

  list(name: string): Fields[] {
    return this.#array(name).map((entry, index) => new Fields(entry, `${this.#pathOf(name)}[${index}]`));
  }

  texts(name: string): string[] {
    return this.#array(name).map((entry) => {
      if (typeof entry !== "string") throw this.fault(name);
      return entry;
    });
  }

  fault(name: string): SustenetError {
    return localError("BAD_ANSWER", `${this.#pathOf(name)} is missing or not what it should be.`);
  }

  #array(name: string): unknown[] {
    const value = this.#members[name];
    if (!Array.isArray(value)) throw this.fault(name);
    return value;
  }

  #pathOf(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }
}
