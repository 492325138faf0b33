import type { z } from "zod";
import { ProblemError } from "./problem.ts";

type Issue = z.core.$ZodIssue;
type FieldError = { readonly field: string; readonly message: string };

const maxErrors = 20;

/** `INVALID_FIELD`, naming each field by its path and what was expected. Nothing that was sent is repeated but field names. */
export function invalidFields(issues: readonly Issue[], where = ""): ProblemError {
  const errors = issues
    .flatMap(fieldErrors)
    .slice(0, maxErrors)
    .map(({ field, message }) => ({ field: `${where}${field}` || "body", message }));
  const first = errors[0];
  const detail = first === undefined ? "The request is not valid." : `${first.field}: ${first.message}`;
  return new ProblemError("INVALID_FIELD", detail, { errors });
}

function fieldErrors(issue: Issue): readonly FieldError[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      field: fieldPath([...issue.path, key.slice(0, 64)]),
      message: "There is no such field.",
    }));
  }
  if (issue.code === "invalid_union") {
    // Of several forms that are allowed, speak of the one that was most nearly met.
    const forms = issue.errors.toSorted((a, b) => a.length - b.length);
    const nearest = forms[0] ?? [];
    return nearest.flatMap((inner) => fieldErrors({ ...inner, path: [...issue.path, ...inner.path] }));
  }
  return [{ field: fieldPath(issue.path), message: plainMessage(issue) }];
}

const zodPrefix = "Invalid input: expected ";

/** The schemas' own words, but for what zod says by itself of a field that is missing or of another type. */
function plainMessage(issue: Issue): string {
  if (!issue.message.startsWith(zodPrefix)) return issue.message;
  if (issue.code !== "invalid_type") return `Expected ${issue.message.slice(zodPrefix.length)}.`;
  const expected = `Expected ${typeNames[issue.expected] ?? issue.expected}.`;
  return issue.message.endsWith("received undefined") ? `This is missing. ${expected}` : expected;
}

const typeNames: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

function fieldPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else text += text === "" ? String(key) : `.${String(key)}`;
  }
  return text;
}
