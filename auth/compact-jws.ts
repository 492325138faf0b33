/** What all readers of a compact JWS (RFC 7515, section 7.1) look at alike, before and after its signature. */

/** Three non-empty segments of base64url. Also makes one character one byte. */
const compactForm = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const forbiddenHeaders = ["jku", "x5u", "x5c", "jwk", "crit"] as const;

/** Whether a text has the form of a compact JWS. */
export function hasCompactForm(text: string): boolean {
  return compactForm.test(text);
}

/** The first of a header's fields that names a key of the sender's own, or wants to be understood; `undefined` where it has none. */
export function forbiddenField(header: object): string | undefined {
  return forbiddenHeaders.find((name) => Object.hasOwn(header, name));
}

/** Whether a parsed value is an object with names. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a claim is a time, in seconds since 1970. */
export function isSeconds(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** Whether a claim is a whole number that counts something. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
