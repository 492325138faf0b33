/** What a text of Prometheus's format says, version 0.0.4. */
export interface Exposition {
  readonly types: ReadonlyMap<string, string>;
  /** By name and labels, as they are written. */
  readonly samples: ReadonlyMap<string, number>;
}

const sampleLine = /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"(?:,|(?=\})))*)\})? (\S+)$/;
const numberText = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|[+-]Inf|NaN)$/i;

/**
 * Reads the format strictly: every family is explained once, before its samples and together with them; no sample comes twice;
 * histograms are cumulative and agree with their count.
 *
 * @throws Error that says which line is wrong
 */
export function parseExposition(text: string): Exposition {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const types = new Map<string, string>();
  const helps = new Set<string>();
  const samples = new Map<string, number>();
  const done = new Set<string>();
  let current: string | undefined;
  for (const line of text.slice(0, -1).split("\n")) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = "", rest = ""] = comment;
      if (kind === "HELP") {
        if (helps.has(name)) throw new Error(`explained twice: ${name}`);
        helps.add(name);
        if (current !== undefined) done.add(current);
        current = name;
      } else {
        if (types.has(name) || name !== current) throw new Error(`not the place for the type of ${name}`);
        if (!["counter", "gauge", "histogram"].includes(rest)) throw new Error(`no such type: ${line}`);
        types.set(name, rest);
      }
      continue;
    }
    const [, name, , value] = sampleLine.exec(line) ?? [];
    if (name === undefined || value === undefined || !numberText.test(value)) throw new Error(`no sample: ${line}`);
    const family = types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, "");
    if (family !== current || done.has(family)) throw new Error(`not among its family: ${line}`);
    if (family !== name && types.get(family) !== "histogram") throw new Error(`not a histogram's: ${line}`);
    const key = line.slice(0, line.length - value.length - 1);
    if (samples.has(key)) throw new Error(`twice: ${key}`);
    samples.set(key, value === "+Inf" ? Infinity : Number(value));
  }
  for (const [name, type] of types) if (type === "histogram") checkHistogram(name, samples);
  for (const [name, type] of types) {
    if (type === "counter" && !name.endsWith("_total")) throw new Error(`a counter's name ends in _total: ${name}`);
  }
  return { types, samples };
}

function checkHistogram(name: string, samples: ReadonlyMap<string, number>): void {
  const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket{`));
  let last = 0;
  for (const [key, value] of buckets) {
    if (value < last) throw new Error(`not cumulative: ${key}`);
    last = value;
  }
  if (buckets.at(-1)?.[0] !== `${name}_bucket{le="+Inf"}`) throw new Error(`${name} does not end with +Inf`);
  if (samples.get(`${name}_count`) !== last) throw new Error(`the count of ${name} is another`);
  if (!samples.has(`${name}_sum`)) throw new Error(`${name} has no sum`);
}
