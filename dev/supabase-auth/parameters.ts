import { z } from "zod";
import { AuthError } from "./auth-error.ts";

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? "");
const metadata = z.record(z.string(), z.json()).nullish();

/**
 * Bodies of the calls. A field that is absent counts as empty, one of another type as malformed JSON: so does the real
 * one.
 */
export const signUpParameters = z.object({ email: text, phone: text, password: text, data: metadata });
export const passwordGrantParameters = z.object({ email: text, phone: text, password: text });
export const refreshGrantParameters = z.object({ refresh_token: text });
export const pkceGrantParameters = z.object({ auth_code: text, code_verifier: text });
export const verifyParameters = z.object({
  type: text,
  token: text,
  token_hash: text,
  email: text,
  phone: text,
  redirect_to: text,
});
export const linkParameters = z.object({ type: text, email: text, password: text, data: metadata, redirect_to: text });
export const idTokenGrantParameters = z.object({ id_token: text, provider: text });
export const userUpdateParameters = z.object({
  email: text,
  phone: text,
  password: z.string().nullish(),
  data: metadata,
  app_metadata: metadata,
});
export const adminUserParameters = z.object({
  id: text,
  email: text,
  phone: text,
  password: text,
  email_confirm: z.boolean().nullish(),
  ban_duration: text,
  user_metadata: metadata,
  app_metadata: metadata,
});

/** @throws AuthError 400 `bad_json` that names the field */
export function parseParameters<T>(schema: z.ZodType<T>, body: Buffer): T {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw badJson("it is not JSON");
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw badJson(issue === undefined ? "it is not of its shape" : `${issue.path.join(".") || "body"}: ${issue.message}`);
}

function badJson(what: string): AuthError {
  return new AuthError(400, "bad_json", `Could not parse request body as JSON: ${what}`);
}

const maxEmailLength = 255;
const emailPattern =
  /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** The address in lower case. @throws AuthError 400 `validation_failed` */
export function parseEmail(given: string): string {
  if (given === "") throw new AuthError(400, "validation_failed", "An email address is required");
  if (given.length > maxEmailLength) throw new AuthError(400, "validation_failed", "An email address is too long");
  const email = given.toLowerCase();
  if (!emailPattern.test(email)) {
    throw new AuthError(400, "validation_failed", "Unable to validate email address: invalid format");
  }
  return email;
}
