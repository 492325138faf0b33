import { execFile } from "node:child_process";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { humanLine } from "./log.ts";

const run = promisify(execFile);

/** What a process of its own has said on standard output: a pipe, of which it may believe that it is a terminal. */
async function said(isTerminal: boolean): Promise<string> {
  const log = JSON.stringify(pathToFileURL(`${import.meta.dirname}/log.ts`).href);
  const program = `
    ${isTerminal ? "process.stdout.isTTY = true;" : ""}
    const { createLogger } = await import(${log});
    const logger = createLogger("info", { instance: "main-1" });
    logger.debug({ event: "hidden" }, "too much");
    logger.warn({ event: "x", count: 2 }, "something happened");
    logger.flush();`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program]);
  return stdout;
}

describe("the log of a process", () => {
  it("is for people on a terminal", async () => {
    expect(await said(true)).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} WARN {2}something happened instance=main-1 event=x count=2\n$/,
    );
  });

  it("is lines of JSON everywhere else", async () => {
    const text = await said(false);
    expect(text.split("\n")).toHaveLength(2);
    expect(JSON.parse(text)).toEqual({
      level: "warn",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      instance: "main-1",
      event: "x",
      count: 2,
      msg: "something happened",
    });
  });
});

it("puts a line as a person likes it", () => {
  const line = '{"level":"warn","time":"2030-01-02T03:04:05.678Z","event":"x","count":2,"msg":"something happened"}\n';
  expect(humanLine(line)).toBe("03:04:05.678 WARN  something happened event=x count=2\n");
});

it("shows an error's stack below", () => {
  const line = JSON.stringify({ level: "error", time: "", msg: "failed", err: { stack: "Error: x\n  at y" } });
  expect(humanLine(line)).toBe(" ERROR failed\n    Error: x\n      at y\n");
});

it("takes the event for the words where there are none", () => {
  const line = '{"level":"info","time":"2030-01-02T03:04:05.678Z","event":"registry.linked","count":2}\n';
  expect(humanLine(line)).toBe("03:04:05.678 INFO  registry.linked count=2\n");
});

it("passes on what it does not understand", () => {
  expect(humanLine("hello\n")).toBe("hello\n");
  expect(humanLine("5\n")).toBe("5\n");
});
