import { exports } from "cloudflare:workers";
import { expect } from "vitest";
import type { Problem, ProblemCode } from "../../../protocol/index.ts";
import { problems } from "../../../protocol/index.ts";

export const masterUrl = "https://master.test";

export interface CallOptions {
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Calls the master as anybody outside does. */
export async function call(method: string, path: string, options: CallOptions = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  if (options.token !== undefined) headers.set("authorization", `Bearer ${options.token}`);
  if (options.body !== undefined && !headers.has("content-type")) headers.set("content-type", "application/json");
  const body =
    options.body === undefined ? null : typeof options.body === "string" ? options.body : JSON.stringify(options.body);
  return exports.default.fetch(new Request(masterUrl + path, { method, headers, body }));
}

/** The JSON of an answer that must have this status. */
export async function expectJson<T>(response: Response, status: number): Promise<T> {
  const text = await response.text();
  expect(response.status, text).toBe(status);
  const value: T = JSON.parse(text);
  return value;
}

/** The problem of an answer that must be refused with `code`, in every part of its form. */
export async function expectProblem(response: Response, code: ProblemCode): Promise<Problem> {
  const text = await response.text();
  expect(text).toContain(`"${code}"`);
  const problem: Problem = JSON.parse(text);
  expect(problem.code).toBe(code);
  expect(response.status).toBe(problems[code].status);
  expect(problem.status).toBe(response.status);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(problem.requestId).toBe(response.headers.get("x-request-id"));
  expect(problem.detail).not.toBe("");
  return problem;
}
