import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  counters,
  gauges,
  histograms,
  type MetricDescription,
} from "../../control-plane/domain/metrics/metric-catalog.ts";

const root = join(import.meta.dirname, "../..");
const metrics: readonly MetricDescription[] = [
  ...Object.values(counters),
  ...Object.values(histograms),
  ...Object.values(gauges),
];

describe("the master's metrics", () => {
  it("are those of docs/OPERATIONS.md, with their labels", () => {
    const document = readFileSync(join(root, "docs/OPERATIONS.md"), "utf8");
    const rows = [...document.matchAll(/^\| `(sustenet_master_\w+(?:\{[\w,]+\})?)` \|/gm)].map(([, name]) => name);
    const names = metrics.map(({ name, labels }) => (labels.length === 0 ? name : `${name}{${labels.join(",")}}`));
    expect(rows).toHaveLength(names.length);
    expect(new Set(rows)).toEqual(new Set(names));
  });

  it("are all that their dashboard asks for, and it asks for most of them", () => {
    const dashboard: unknown = JSON.parse(readFileSync(join(root, "docs/grafana/master.json"), "utf8"));
    const expressions = [...JSON.stringify(dashboard).matchAll(/"(?:expr|query)":"((?:[^"\\]|\\.)*)"/g)].map(
      ([, text]) => text ?? "",
    );
    expect(expressions.length).toBeGreaterThan(10);
    const asked = new Set(expressions.flatMap((text) => [...text.matchAll(/sustenet_\w+/g)].map(([name]) => name)));
    const known = new Set([
      ...metrics.map(({ name }) => name),
      ...Object.values(histograms).flatMap(({ name }) => [`${name}_bucket`, `${name}_sum`, `${name}_count`]),
    ]);
    expect([...asked].filter((name) => !known.has(name))).toEqual([]);
    const labels = expressions.flatMap((text) =>
      [...text.matchAll(/(sustenet_\w+)\{([^}]*)\}/g)].flatMap(([, name = "", list = ""]) =>
        [...list.matchAll(/(\w+)=/g)].map(([, label = ""]) => ({ name, label })),
      ),
    );
    const odd = labels.filter(({ name, label }) => {
      const metric = metrics.find((each) => name.startsWith(each.name));
      return metric === undefined || !["job", "le", ...metric.labels].includes(label);
    });
    expect(odd).toEqual([]);
  });
});
