import { expect, it } from "vitest";
import { Metrics } from "../metrics.ts";
import { LogBook } from "../testing/test-cluster.ts";
import { RefusalLog } from "./refusal-log.ts";

it("[NET-7] counts every refusal, and says each reason once a second with how many there were", () => {
  let now = 0;
  const metrics = new Metrics();
  const book = new LogBook();
  const log = new RefusalLog(metrics, book, () => now);
  for (let count = 0; count < 1_000; count += 1) log.note("A", "192.0.2.1");
  log.note("B", "192.0.2.2");
  now = 999;
  log.note("A", "192.0.2.2");
  expect(book.lines).toHaveLength(2);
  now = 1_000;
  log.note("A", "192.0.2.3");
  expect(metrics.snapshot().refusals).toEqual({ A: 1_002, B: 1 });
  expect(book.lines.map(({ fields }) => [fields["reason"], fields["count"]])).toEqual([
    ["A", 1],
    ["B", 1],
    ["A", 1_001],
  ]);
});

it("[NET-7] says which fragment was full, and no more often for many of them", () => {
  const book = new LogBook();
  const log = new RefusalLog(new Metrics(), book, () => 0);
  for (const fragment of ["east", "west", undefined]) log.note("FULL", "192.0.2.1", fragment);
  expect(book.lines.map(({ fields }) => fields["fragment"])).toEqual(["east"]);
});
