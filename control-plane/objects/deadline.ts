import { count } from "../metrics.ts";

/** `promise`, or a rejection when it takes longer than `timeoutMs`. What it does goes on behind it. */
export async function withDeadline<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} took longer than ${timeoutMs} ms`)), timeoutMs);
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    count("objectErrors", "call");
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Longest wait for another object's answer. */
export const objectCallTimeoutMs = 10_000;
