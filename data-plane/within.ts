/** Waits for it, but not longer than this. Rejects if it does. */
export async function within(timeoutMs: number, done: Promise<void> | undefined): Promise<void> {
  const { promise: timeout, resolve: onTimeout } = Promise.withResolvers<void>();
  const timer = setTimeout(onTimeout, timeoutMs);
  try {
    await Promise.race([done, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
