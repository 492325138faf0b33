/** Waits for `done`, at most `timeoutMs`. Resolves on timeout; rejects only if `done` rejects. */
export async function within(timeoutMs: number, done: Promise<void> | undefined): Promise<void> {
  const { promise: timeout, resolve: onTimeout } = Promise.withResolvers<void>();
  const timer = setTimeout(onTimeout, timeoutMs);
  try {
    await Promise.race([done, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
