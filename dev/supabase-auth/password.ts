import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { AuthError } from "./auth-error.ts";

/** Cheap on purpose: these accounts are for development. The real one uses bcrypt. */
const cost = { N: 4_096, r: 8, p: 1 };
const hashBytes = 32;
/** The real one hashes with bcrypt, which looks at 72 bytes only. */
const maxPasswordBytes = 72;

/** @throws AuthError `weak_password` or `validation_failed` */
export function assertPasswordAcceptable(password: string, minLength: number): void {
  if (Buffer.byteLength(password) > maxPasswordBytes) {
    throw new AuthError(400, "validation_failed", `Password cannot be longer than ${maxPasswordBytes} characters`);
  }
  if (Buffer.byteLength(password) < minLength) {
    throw new AuthError(422, "weak_password", `Password should be at least ${minLength} characters.`, ["length"]);
  }
}

/** `salt.hash`, both base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  return `${salt.toString("base64url")}.${(await derive(password, salt)).toString("base64url")}`;
}

export async function isPasswordCorrect(password: string, stored: string): Promise<boolean> {
  const [salt = "", hash = ""] = stored.split(".");
  const expected = Buffer.from(hash, "base64url");
  const given = await derive(password, Buffer.from(salt, "base64url"));
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function derive(password: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, hashBytes, cost, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
