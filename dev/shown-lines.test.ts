import { describe, expect, it } from "vitest";
import { parseLogLine, shownClusterLine, shownMasterLine } from "./shown-lines.ts";

const line = (fields: object): string => JSON.stringify({ time: "2030-01-02T03:04:05.678Z", ...fields });

describe("what is shown of the master's log", () => {
  it("is for people, without the time", () => {
    const registered = line({ level: "info", event: "registry.registered", clusterId: "default.a", players: 0 });
    expect(shownMasterLine(registered)).toBe("INFO  registry.registered clusterId=default.a players=0");
    const failed = line({ level: "error", event: "http.failed", error: { name: "TypeError", message: "it broke" } });
    expect(shownMasterLine(failed)).toBe('ERROR http.failed error={"name":"TypeError","message":"it broke"}');
  });

  it("leaves out requests, and passes on what is no such line", () => {
    expect(shownMasterLine(line({ level: "info", event: "http.request", status: 200 }))).toBeUndefined();
    for (const text of ["workerd says so", "{ no JSON", "5"]) expect(shownMasterLine(text)).toBe(text);
  });
});

describe("what is shown of a cluster's log", () => {
  it("is its words", () => {
    expect(shownClusterLine(line({ level: "info", event: "ready", port: 5, msg: "ready at port 5" }))).toBe(
      "ready at port 5",
    );
    expect(shownClusterLine("hello")).toBe("hello");
  });

  it("is everything of a fault, with its stack", () => {
    const fault = { level: "error", event: "plugin-failed", hook: "onTick", err: { stack: "Error: x\n  at y" } };
    expect(shownClusterLine(line({ ...fault, msg: "a plugin failed" }))).toBe(
      "ERROR a plugin failed event=plugin-failed hook=onTick\n    Error: x\n      at y",
    );
  });

  it.each(["joined", "left"])("is not who comes and goes: %s", (event) => {
    expect(shownClusterLine(line({ level: "info", event, msg: "a player" }))).toBeUndefined();
  });
});

describe("parseLogLine", () => {
  it("takes what it knows, and nothing of another type", () => {
    expect(parseLogLine(line({ level: "info", event: "ready", port: 5, msg: "x" }))).toEqual({
      level: "info",
      event: "ready",
      port: 5,
      msg: "x",
    });
    expect(parseLogLine('{"level":1,"event":[],"port":"5"}')).toEqual({});
    expect(parseLogLine("null")).toBeUndefined();
  });
});
