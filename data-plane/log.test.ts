import { expect, it } from "vitest";
import { humanLine } from "./log.ts";

it("puts a line as a person likes it", () => {
  const line = '{"level":"warn","time":"2030-01-02T03:04:05.678Z","event":"x","count":2,"msg":"something happened"}\n';
  expect(humanLine(line)).toBe("03:04:05.678 WARN  something happened event=x count=2\n");
});

it("shows an error's stack below", () => {
  const line = JSON.stringify({ level: "error", time: "", msg: "failed", err: { stack: "Error: x\n  at y" } });
  expect(humanLine(line)).toBe(" ERROR failed\n    Error: x\n      at y\n");
});

it("passes on what it does not understand", () => {
  expect(humanLine("hello\n")).toBe("hello\n");
  expect(humanLine("5\n")).toBe("5\n");
});
