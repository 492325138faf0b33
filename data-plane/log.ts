import pino from "pino";

/** From most to least, then none at all. */
export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;

export type LogLevel = (typeof logLevels)[number];

/** Where the cluster says what happens: pino, or anything with these four. Fields first, then one plain line. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A logger for a process, and how to write out what it still holds. */
export interface ProcessLogger extends Logger {
  flush(): void;
}

/**
 * The log on standard output: for people on a terminal, JSON lines otherwise.
 *
 * @param level the least level shown
 * @param fields what every line carries
 */
export function createLogger(level: LogLevel, fields: Readonly<Record<string, string>> = {}): ProcessLogger {
  const options: pino.LoggerOptions = {
    level,
    base: Object.keys(fields).length === 0 ? null : fields,
    formatters: { level: (label) => ({ level: label }) },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  // Asynchronous: a reader that stops reading our output must not stop the game. Past the bound lines are dropped.
  const destination = pino.destination({ dest: 1, sync: false, maxLength: 4_194_304 });
  destination.on("error", () => undefined);
  const stream = process.stdout.isTTY
    ? { write: (line: string) => void destination.write(humanLine(line)) }
    : destination;
  const logger = pino(options, stream);
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    flush: () => {
      try {
        destination.flushSync();
      } catch {
        // Nobody reads our output any more.
      }
    },
  };
}

/** A JSON log line as a person likes it: time, level, text, then the fields. */
export function humanLine(line: string): string {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof entry !== "object" || entry === null) return line;
  const { time, level, msg, err, ...rest }: Record<string, unknown> = { ...entry };
  const clock = typeof time === "string" ? time.slice(11, 23) : "";
  // The master's lines have an event and no words.
  const { event, ...others } = rest;
  const isNamed = typeof msg !== "string" && typeof event === "string";
  const [text, fields] = isNamed ? [event, others] : [msg, rest];
  const shown = Object.entries(fields)
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("");
  return `${clock} ${String(level).toUpperCase().padEnd(5)} ${typeof text === "string" ? text : ""}${shown}\n${stackOf(err)}`;
}

function stackOf(err: unknown): string {
  if (typeof err !== "object" || err === null || !("stack" in err) || typeof err.stack !== "string") return "";
  return `${err.stack.replace(/^/gm, "    ")}\n`;
}
