import { humanLine } from "../data-plane/log.ts";

/** What is known of every line of a JSON log. */
export interface LogEntry {
  readonly level?: string;
  readonly event?: string;
  readonly msg?: string;
  readonly port?: number;
}

/** A line of a JSON log; `undefined` for anything else. */
export function parseLogLine(line: string): LogEntry | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) return undefined;
    const { event, level, msg, port }: { event?: unknown; level?: unknown; msg?: unknown; port?: unknown } = value;
    return {
      ...(typeof level === "string" ? { level } : {}),
      ...(typeof event === "string" ? { event } : {}),
      ...(typeof msg === "string" ? { msg } : {}),
      ...(typeof port === "number" ? { port } : {}),
    };
  } catch {
    return undefined;
  }
}

/** What a person wants to see of the Worker's log beside other processes: each request would be too much. */
export function shownMasterLine(line: string): string | undefined {
  const entry = parseLogLine(line);
  if (entry?.event === "http.request" && entry.level === "info") return undefined;
  return entry === undefined ? line : withoutClock(line);
}

/** The same of a cluster's log: faults with all that is known of them, all else in a few words, and not who comes and goes. */
export function shownClusterLine(line: string): string | undefined {
  const entry = parseLogLine(line);
  if (entry === undefined) return line;
  if (entry.event === "joined" || entry.event === "left") return undefined;
  const isFault = entry.level === "warn" || entry.level === "error";
  return isFault || entry.msg === undefined ? withoutClock(line) : entry.msg;
}

/** Who shows it says when it was. */
function withoutClock(line: string): string {
  const text = humanLine(line);
  return text.slice(text.indexOf(" ") + 1).trimEnd();
}
