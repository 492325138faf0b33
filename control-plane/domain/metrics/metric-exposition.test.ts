import { describe, expect, it } from "vitest";
import { parseExposition } from "../../../test/support/exposition.ts";
import { MetricCounts, sumCounts } from "./metric-counts.ts";
import { exposeMetrics } from "./metric-exposition.ts";

function expose(...counts: MetricCounts[]) {
  return parseExposition(exposeMetrics(sumCounts(counts.map((each) => each.take())), []));
}

describe("what has been counted", () => {
  it("adds up over isolates, label by label", () => {
    const [one, other] = [new MetricCounts(), new MetricCounts()];
    one.count("allocations", ["ticket"]);
    one.count("allocations", ["ticket"]);
    one.count("logins", ["password", "INVALID_CREDENTIALS"]);
    other.count("allocations", ["ticket"], 5);
    other.count("allocations", ["CLUSTER_FULL"]);
    const { samples } = expose(one, other);
    expect(Object.fromEntries(samples)).toMatchObject({
      'sustenet_master_allocations_total{outcome="ticket"}': 7,
      'sustenet_master_allocations_total{outcome="CLUSTER_FULL"}': 1,
      'sustenet_master_logins_total{way="password",outcome="INVALID_CREDENTIALS"}': 1,
      sustenet_master_joins_total: 0,
    });
  });

  it("is taken once, and again when it could not be kept", () => {
    const counts = new MetricCounts();
    counts.count("joins", []);
    const taken = counts.take();
    expect(counts.take()).toEqual([]);
    expect(counts.isEmpty).toBe(true);
    counts.putBack(taken);
    counts.count("joins", []);
    expect(counts.take()).toEqual([["joins", 2]]);
  });

  it("falls into the bucket of its bound, and into none but the last beyond all", () => {
    const counts = new MetricCounts();
    for (const seconds of [0.005, 0.006, 0.02, 11]) counts.observe("allocation", seconds);
    const { samples } = expose(counts);
    const bucket = (le: string) => samples.get(`sustenet_master_allocation_seconds_bucket{le="${le}"}`);
    expect([bucket("0.005"), bucket("0.01"), bucket("0.02"), bucket("10"), bucket("+Inf")]).toEqual([1, 2, 3, 3, 4]);
    expect(samples.get("sustenet_master_allocation_seconds_sum")).toBeCloseTo(11.031);
    expect(samples.get("sustenet_master_allocation_seconds_count")).toBe(4);
  });
});

describe("what has been looked up", () => {
  it("adds up over objects; ages are those of the oldest", () => {
    const text = exposeMetrics(new Map(), [
      { gauge: "clusters", labels: ["eu", "ready"], value: 2 },
      { gauge: "clusters", labels: ["eu", "ready"], value: 3 },
      { gauge: "clusters", labels: ["us", "ready"], value: 1 },
      { gauge: "outboxAge", labels: ["eu"], value: 2 },
      { gauge: "outboxAge", labels: ["eu"], value: 9 },
      { gauge: "outboxAge", labels: ["eu"], value: 3 },
    ]);
    const { samples } = parseExposition(text);
    expect(samples.get('sustenet_master_clusters{region="eu",state="ready"}')).toBe(5);
    expect(samples.get('sustenet_master_clusters{region="us",state="ready"}')).toBe(1);
    expect(samples.get('sustenet_master_outbox_age_seconds{region="eu"}')).toBe(9);
  });

  it("cannot break out of its label", () => {
    const value = 'a"} 1\nforged_total{x="\\';
    const { samples } = parseExposition(
      exposeMetrics(new Map(), [{ gauge: "clusters", labels: [value, "ready"], value: 1 }]),
    );
    expect([...samples.keys()].filter((name) => name.startsWith("forged"))).toEqual([]);
  });
});

describe("the reader of these tests", () => {
  it.each([
    ["a sample without its type", "x_total 1\n", "among its family"],
    [
      "a family in two places",
      '# HELP a b\n# TYPE a gauge\na 1\n# HELP c d\n# TYPE c gauge\na{x="1"} 1\n',
      "among its family",
    ],
    ["a sample that comes twice", "# HELP a b\n# TYPE a gauge\na 1\na 2\n", "twice"],
    ["a label that is not quoted", "# HELP a b\n# TYPE a gauge\na{x=1} 1\n", "no sample"],
    ["a value that is no number", "# HELP a b\n# TYPE a gauge\na one\n", "no sample"],
    ["a counter without _total", "# HELP a b\n# TYPE a counter\na 1\n", "_total"],
    [
      "a histogram that shrinks",
      '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
      "not cumulative",
    ],
    ["an end without a line's end", "# HELP a b\n# TYPE a gauge\na 1", "does not end"],
  ])("refuses %s", (_, text, fault) => {
    expect(() => parseExposition(text)).toThrow(fault);
  });
});
