/** The next error that nobody catches; the test runner, which would fail the run for it, does not see it. */
export async function nextUncaughtError(): Promise<unknown> {
  return nextOf("uncaughtException");
}

/** The same of a promise. */
export async function nextUnhandledRejection(): Promise<unknown> {
  return nextOf("unhandledRejection");
}

async function nextOf(event: "uncaughtException" | "unhandledRejection"): Promise<unknown> {
  const listeners = process.rawListeners(event);
  process.removeAllListeners(event);
  try {
    return await new Promise((resolve) => process.once(event, resolve));
  } finally {
    for (const listener of listeners) process.on(event, (...args: unknown[]) => listener(...args));
  }
}
