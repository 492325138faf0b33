import { z } from "zod";
import { type Limit, type LimitWindow, spendLimit } from "./limits.ts";

const minute = 60_000;
const hour = 60 * minute;

/** Every limit with its default. An address is an IPv4 address or an IPv6 /64; others share it (carrier NAT, schools). */
const defaults = {
  /** Attempts to log in, in any way. Stops guessing passwords of many accounts. */
  loginPerAddress: { max: 60, periodMs: 5 * minute },
  /** The same, by the e-mail address that is tried, whether there is an account or not. Stops guessing one account's. */
  loginPerAccount: { max: 20, periodMs: 15 * minute },
  /** The same, by the device id that a client may send. */
  loginPerDevice: { max: 30, periodMs: 15 * minute },
  /** New accounts, anonymous ones included. Stops making players by the thousand. */
  signupPerAddress: { max: 60, periodMs: hour },
  refreshPerAddress: { max: 300, periodMs: 5 * minute },
  /** Allocations that have work to do: new ones, and tries at one without a ticket yet. Stops a player from keeping shards busy. */
  allocatePerPlayer: { max: 60, periodMs: minute },
  /** New allocations. Stops one account from holding seat after seat. */
  allocationsPerHour: { max: 240, periodMs: hour },
  waitingPlacesPerHour: { max: 120, periodMs: hour },
  partiesPerHour: { max: 60, periodMs: hour },
  /** Registrations of processes that have a cluster key. Stops a crash loop from keeping a shard busy. */
  registrationsPerKey: { max: 600, periodMs: minute },
  /** Upgrades, exports and deletions: each costs calls to other services. */
  accountChangesPerPlayer: { max: 20, periodMs: hour },
  /** What an operator looks at, and changes. Stops a stolen token, or a script gone wild, from keeping everything busy. */
  adminReadsPerOperator: { max: 600, periodMs: minute },
  adminChangesPerOperator: { max: 120, periodMs: minute },
} as const satisfies Record<string, Limit>;

export type LimitName = keyof typeof defaults;
export type Limits = Readonly<Record<LimitName, Limit>>;

const limitNames = Object.keys(defaults).filter(isLimitName);

function isLimitName(text: string): text is LimitName {
  return Object.hasOwn(defaults, text);
}

const settingSchema = z.partialRecord(
  z.enum(limitNames),
  z.tuple([z.int().min(0).max(1_000_000), z.int().min(1).max(86_400)]),
);

/**
 * The limits, as the setting `LIMITS` changes them: JSON like `{"loginPerAddress":[60,300]}`, events and seconds. Without one, the
 * defaults; `undefined` when it is not of that form.
 */
export function parseLimits(setting: string | undefined): Limits | undefined {
  if (setting === undefined || setting === "") return defaults;
  let json: unknown;
  try {
    json = JSON.parse(setting);
  } catch {
    return undefined;
  }
  const parsed = settingSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const changes = Object.entries(parsed.data).map(([name, [max, seconds]]) => [
    name,
    { max, periodMs: seconds * 1_000 },
  ]);
  return { ...defaults, ...Object.fromEntries(changes) };
}

/** What is remembered for one subject: an address, an account, a player. */
export type LimitWindows = Readonly<Partial<Record<LimitName, LimitWindow>>>;

export type LimitsVerdict =
  | { readonly allowed: true; readonly windows: LimitWindows }
  | { readonly allowed: false; readonly limit: LimitName; readonly retryAfterSeconds: number };

/** Counts one event against several limits of a subject: against all, or, when one refuses, against none. */
export function spendLimits(
  windows: LimitWindows,
  names: readonly LimitName[],
  limits: Limits,
  nowMs: number,
): LimitsVerdict {
  const next: Partial<Record<LimitName, LimitWindow>> = { ...windows };
  let refused: { limit: LimitName; retryAfterMs: number } | undefined;
  for (const name of names) {
    const verdict = spendLimit(windows[name] ?? [], limits[name], nowMs);
    if (verdict.allowed) next[name] = verdict.window;
    else if (refused === undefined || verdict.retryAfterMs > refused.retryAfterMs) {
      refused = { limit: name, retryAfterMs: verdict.retryAfterMs };
    }
  }
  if (refused === undefined) return { allowed: true, windows: next };
  const retryAfterSeconds = Math.max(1, Math.ceil(refused.retryAfterMs / 1_000));
  return { allowed: false, limit: refused.limit, retryAfterSeconds };
}

const windowsSchema = z.partialRecord(z.enum(limitNames), z.array(z.tuple([z.number(), z.number()])));

/** What {@link encodeLimitWindows} wrote; whatever does not parse, as from another version, counts as nothing. */
export function parseLimitWindows(text: string): LimitWindows {
  try {
    const parsed = windowsSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : {};
  } catch {
    return {};
  }
}

export function encodeLimitWindows(windows: LimitWindows): string {
  return JSON.stringify(windows);
}

/** The longest period among `names`: after it nothing needs to be remembered. A slot more, for the one that was begun. */
export function memoryMs(names: readonly LimitName[], limits: Limits): number {
  return Math.max(0, ...names.map((name) => limits[name].periodMs)) * 1.1;
}
