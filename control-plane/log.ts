export type LogLevel = "info" | "warn" | "error";

/** What an event is about. Never put a token, key, password or a peer's bytes in. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one line of JSON to the Worker's log. An `error` field keeps its class and message, not what it carries. */
export function logEvent(level: LogLevel, event: string, fields: LogFields = {}): void {
  const entry = { time: new Date().toISOString(), level, event, ...fields };
  // Most lines have no error in them, and are written several times as fast.
  const line = JSON.stringify(entry, Object.values(fields).some(isObject) ? plainError : undefined);
  // oxlint-disable-next-line no-console -- in a Worker the console is the log
  console[level](line);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function plainError(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  return { name: value.name, message: value.message.slice(0, 300) };
}
