import { count } from "../metrics.ts";

/** `promise`, or a rejection when it takes longer than `timeoutMs`. What it does goes on behind it. */
export async function withDeadline<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  const { promise: outcome, resolve, reject } = Promise.withResolvers<T>();
  const timer = setTimeout(() => reject(new Error(`${what} took longer than ${timeoutMs} ms`)), timeoutMs);
  // No race: it makes three promises more, for each call of an object.
  void promise.then(resolve, reject);
  try {
    return await outcome;
  } catch (error) {
    count("objectErrors", "call");
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Longest wait for another object's answer. */
export const objectCallTimeoutMs = 10_000;
