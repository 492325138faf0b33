import { counters, type GaugeKey, gauges, histograms, type MetricDescription } from "./metric-catalog.ts";

/** One value of a gauge. */
export interface GaugeSample {
  readonly gauge: GaugeKey;
  /** One for each label, in order. */
  readonly labels: readonly string[];
  readonly value: number;
}

/** Everything in the text format of Prometheus, version 0.0.4. `counts`: by series, as `MetricCounts` names them. */
export function exposeMetrics(counts: ReadonlyMap<string, number>, samples: readonly GaugeSample[]): string {
  const lines: string[] = [];
  const read = [...counts].map(([series, value]) => ({ parts: series.split("|"), value }));
  for (const [key, metric] of Object.entries<MetricDescription>(counters)) {
    lines.push(...head(metric, "counter"));
    const of = read.filter(({ parts }) => parts[0] === key && parts.length === metric.labels.length + 1);
    // A count without labels is there from the beginning; of the others nobody knows yet which there will be.
    if (metric.labels.length === 0 && of.length === 0) lines.push(`${metric.name} 0`);
    for (const { parts, value } of of) lines.push(`${metric.name}${labelled(metric.labels, parts.slice(1))} ${value}`);
  }
  for (const [key, metric] of Object.entries(histograms)) lines.push(...exposeHistogram(key, metric, counts));
  for (const [key, metric] of Object.entries<MetricDescription>(gauges)) {
    lines.push(...head(metric, "gauge"));
    for (const [labels, value] of sumByLabels(samples.filter(({ gauge }) => gauge === key))) {
      lines.push(`${metric.name}${labelled(metric.labels, labels)} ${value}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function exposeHistogram(
  key: string,
  metric: (typeof histograms)[keyof typeof histograms],
  counts: ReadonlyMap<string, number>,
): string[] {
  const lines = head(metric, "histogram");
  let sum = 0;
  for (const bound of [...metric.bounds, "+Inf"]) {
    sum += counts.get(`${key}|${bound}`) ?? 0;
    lines.push(`${metric.name}_bucket{le="${bound}"} ${sum}`);
  }
  return [...lines, `${metric.name}_sum ${counts.get(`${key}|sum`) ?? 0}`, `${metric.name}_count ${sum}`];
}

/** Ages are those of the oldest; everything else adds up. */
function sumByLabels(samples: readonly GaugeSample[]): readonly (readonly [readonly string[], number])[] {
  const groups = new Map<string, { readonly labels: readonly string[]; value: number }>();
  for (const { gauge, labels, value } of samples) {
    const group = groups.get(labels.join("|"));
    if (group === undefined) groups.set(labels.join("|"), { labels, value });
    else group.value = gauges[gauge].name.endsWith("_age_seconds") ? Math.max(group.value, value) : group.value + value;
  }
  return [...groups.values()].map(({ labels, value }) => [labels, value] as const);
}

function head({ name, help }: MetricDescription, type: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function labelled(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return "";
  return `{${names.map((name, index) => `${name}="${escape(values[index] ?? "")}"`).join(",")}}`;
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
