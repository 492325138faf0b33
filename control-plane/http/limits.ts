import type { Context } from "hono";
import { limitedAccount, limitedAddress, limitedDevice } from "../domain/limits/limits-address.ts";
import type { LimitName } from "../domain/limits/limits-policy.ts";
import { logEvent } from "../log.ts";
import { objectCallTimeoutMs, withDeadline } from "../objects/deadline.ts";
import { rateLimiter } from "../objects/remote.ts";
import type { AttemptAnswer } from "../objects/rate-limiter.ts";
import { readClientAddressHeader, readLimits } from "../limit-settings.ts";
import { ProblemError } from "./problem.ts";
import type { MasterHono } from "./route-parts.ts";

/** The header in which a client may name its device; it is the client's own word, and only ever makes it more limited. */
export const deviceHeader = "x-device-id";

/** The client's address, from the one header that the platform writes. */
export function clientAddress(context: Context<MasterHono>): string | undefined {
  return context.req.header(readClientAddressHeader(context.env));
}

/**
 * Counts an attempt to log in, sign up or refresh: by address, device and account, whether the account exists or not [SEC-37].
 *
 * @throws ProblemError `RATE_LIMITED`
 */
export async function limitAttempt(
  context: Context<MasterHono>,
  kind: "login" | "signup" | "refresh",
  email?: string,
): Promise<void> {
  const address = limitedAddress(clientAddress(context));
  const device = limitedDevice(context.req.header(deviceHeader));
  // First, and alone: who is refused here makes no objects for accounts and devices.
  if (address !== undefined) await attempt(context, `address ${address}`, byAddress[kind]);
  if (kind === "refresh") return;
  await Promise.all([
    device === undefined ? undefined : attempt(context, `device ${device}`, ["loginPerDevice"]),
    email === undefined ? undefined : attempt(context, `account ${limitedAccount(email)}`, ["loginPerAccount"]),
  ]);
}

const byAddress = {
  login: ["loginPerAddress"],
  signup: ["loginPerAddress", "signupPerAddress"],
  refresh: ["refreshPerAddress"],
} as const;

/** Counts what a player does to the account. @throws ProblemError `RATE_LIMITED` */
export async function limitAccountChange(context: Context<MasterHono>, playerId: string): Promise<void> {
  await attempt(context, `player ${playerId}`, ["accountChangesPerPlayer"]);
}

/** Counts what an operator looks at, or changes. @throws ProblemError `RATE_LIMITED` */
export async function limitOperator(
  context: Context<MasterHono>,
  operatorId: string,
  kind: "read" | "change",
): Promise<void> {
  const limit = kind === "read" ? "adminReadsPerOperator" : "adminChangesPerOperator";
  await attempt(context, `operator ${operatorId}`, [limit]);
}

async function attempt(context: Context<MasterHono>, subject: string, names: readonly LimitName[]): Promise<void> {
  // Said here, where the answer can name the setting, rather than by an object.
  readLimits(context.env);
  const limiter = rateLimiter(context.env, await hash(subject));
  let answer: AttemptAnswer;
  try {
    answer = await withDeadline(limiter.attempt(names), objectCallTimeoutMs, "a rate limiter");
  } catch (error) {
    // Most likely it is flooded, which is what it is for.
    logEvent("warn", "limits.no_answer", { requestId: context.get("requestId"), error });
    answer = { allowed: false, retryAfterSeconds: 5 };
  }
  if (answer.allowed) return;
  const { retryAfterSeconds } = answer;
  throw new ProblemError("RATE_LIMITED", "Too many attempts. Wait before the next one.", { retryAfterSeconds });
}

/** Names of objects are seen by operators; addresses of people need not be. */
async function hash(subject: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(subject)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
