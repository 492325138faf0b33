import type { Histogram } from "./histogram.ts";

/** Labels of one sample. */
export type Labels = Readonly<Record<string, string>>;

/** Writes samples in the text format of Prometheus, version 0.0.4. */
export class Exposition {
  readonly #lines: string[] = [];

  /** A count that only grows; `name` ends in `_total`. */
  counter(name: string, help: string, value: number): this {
    return this.#family(name, help, "counter", [[{}, value]]);
  }

  counters(name: string, help: string, samples: Iterable<readonly [Labels, number]>): this {
    return this.#family(name, help, "counter", samples);
  }

  gauge(name: string, help: string, value: number): this {
    return this.#family(name, help, "gauge", [[{}, value]]);
  }

  gauges(name: string, help: string, samples: Iterable<readonly [Labels, number]>): this {
    return this.#family(name, help, "gauge", samples);
  }

  histogram(name: string, help: string, histogram: Histogram): this {
    this.#head(name, help, "histogram");
    for (const { bound, count } of histogram.cumulative()) this.#sample(`${name}_bucket`, { le: String(bound) }, count);
    this.#sample(`${name}_bucket`, { le: "+Inf" }, histogram.count);
    this.#sample(`${name}_sum`, {}, histogram.sumSeconds);
    this.#sample(`${name}_count`, {}, histogram.count);
    return this;
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  #family(name: string, help: string, type: string, samples: Iterable<readonly [Labels, number]>): this {
    this.#head(name, help, type);
    for (const [labels, value] of samples) this.#sample(name, labels, value);
    return this;
  }

  #head(name: string, help: string, type: string): void {
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  }

  #sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`);
    this.#lines.push(`${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`);
  }
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
