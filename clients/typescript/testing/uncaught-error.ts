/** The next error that nobody catches; the test runner, which would fail the run for it, does not see it. */
export async function nextUncaughtError(): Promise<unknown> {
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  try {
    return await new Promise((resolve) => process.once("uncaughtException", resolve));
  } finally {
    for (const listener of listeners) process.on("uncaughtException", listener);
  }
}
