import { type Limits, parseLimits } from "./domain/limits/limits-policy.ts";
import { readOptionalText, SettingError, type SettingSource } from "./settings.ts";

const known = new WeakMap<object, Limits>();

/** How often anybody may do what. @throws SettingError */
export function readLimits(source: SettingSource): Limits {
  const cached = known.get(source);
  if (cached !== undefined) return cached;
  const limits = parseLimits(readOptionalText(source, "LIMITS", /^/, "JSON"));
  if (limits === undefined) throw new SettingError("LIMITS", 'JSON like {"loginPerAddress":[60,300]}: events, seconds');
  known.set(source, limits);
  return limits;
}

/** The header in which the platform writes a client's address. @throws SettingError */
export function readClientAddressHeader(source: SettingSource): string {
  const name = readOptionalText(source, "CLIENT_ADDRESS_HEADER", /^[A-Za-z][\w-]{0,63}$/, "the name of a header");
  return name ?? "cf-connecting-ip";
}
