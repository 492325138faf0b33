/** docs/OPERATIONS.md names all that the code can say there. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { auditActions } from "../../control-plane/domain/operators/audit-actions.ts";
import { clusterEventNames } from "../../control-plane/domain/store-record.ts";
import { candidateReasons } from "../../protocol/http.ts";

const text = readFileSync(join(import.meta.dirname, "../../docs/OPERATIONS.md"), "utf8");

const namedIn = (passage: string | undefined): readonly string[] =>
  Array.from(passage?.matchAll(/`([a-z.-]+)`/g) ?? [], ([, name = ""]) => name);

describe("docs/OPERATIONS.md", () => {
  it("names every reason why a cluster won or lost, and no others", () => {
    const listed = namedIn(/why it won or lost \(([^)]+)\)/.exec(text)?.[1]);
    expect([...listed].toSorted()).toEqual([...candidateReasons].toSorted());
  });

  it("names every action of the audit log, and no others", () => {
    const listed = namedIn(/`audit --action` takes one of\s([^;]+);/.exec(text)?.[1]);
    expect([...listed].toSorted()).toEqual([...auditActions].toSorted());
  });

  it("names every event of a cluster that is put on record, and no others", () => {
    const listed = namedIn(/^\| `cluster_events` \| ([^|]+) \|/m.exec(text)?.[1]);
    expect([...listed].toSorted()).toEqual([...clusterEventNames].toSorted());
  });
});
