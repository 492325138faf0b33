import type { z } from "@hono/zod-openapi";
import type { Context, TypedResponse } from "hono";
import type { LoginMethod } from "../../auth/providers/provider.ts";
import { type ProblemCode, problems } from "../../protocol/index.ts";
import { problemType } from "./problem.ts";
import { problemSchema } from "./schemas.ts";

/** An operator whose access token has been verified. */
interface VerifiedOperator {
  readonly id: string;
  readonly token: string;
  /** Seconds since 1970. */
  readonly expiresAt: number;
  /** When the operator proved who they are: the same. */
  readonly authenticatedAt: number;
}

/** What every route's context holds. */
export interface MasterHono {
  Bindings: Env;
  Variables: {
    requestId: string;
    problem?: ProblemCode;
    reservationId?: string;
    loginMethod?: LoginMethod;
    operator?: VerifiedOperator;
  };
}

/** Security schemes by their names in the OpenAPI document. */
export const playerSecurity = [{ player: [] }];
export const operatorSecurity = [{ operator: [] }];
export const clusterAssertionSecurity = [{ clusterAssertion: [] }];
export const clusterSessionSecurity = [{ clusterSession: [] }];

export function jsonBody<S extends z.ZodType>(schema: S) {
  return { body: { required: true, content: { "application/json": { schema } } } };
}

export function jsonAnswer<S extends z.ZodType>(description: string, schema: S) {
  return { description, content: { "application/json": { schema } } };
}

type JsonAnswer<T> = Response & TypedResponse<T, 200, "json">;

/** An answer that was made into JSON before, when it was stored: it goes out byte for byte. */
export function jsonText<T>(context: Context<MasterHono>, text: string): JsonAnswer<T> {
  const response: Response = context.body(text, 200, { "content-type": "application/json" });
  if (!isJsonAnswer<T>(response)) throw new Error("a body with status 200 is an answer");
  return response;
}

/** What such a type has beside a response is there for the compiler alone. */
function isJsonAnswer<T>(response: Response): response is JsonAnswer<T> {
  return response.status === 200;
}

/** The error answers of a route, one for each status, with every code that may come with it. */
export function problemAnswers(...codes: readonly ProblemCode[]) {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of [...codes, ...everywhere]) {
    const { status } = problems[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, of]) => [
      status,
      {
        description: [...new Set(of)].map((code) => `\`${code}\`: ${problems[code].title}`).join(" "),
        content: {
          "application/problem+json": {
            schema: problemSchema,
            examples: Object.fromEntries(of.map((code) => [code, { value: exampleOf(code) }])),
          },
        },
      },
    ]),
  );
}

/** What any call may be answered with. */
const everywhere: readonly ProblemCode[] = ["HTTPS_REQUIRED", "BODY_TOO_LARGE", "INVALID_FIELD", "INTERNAL"];

/** What a call with a body may be answered with. */
export const bodyProblems = [
  "MALFORMED_JSON",
  "INVALID_FIELD",
  "BODY_TOO_LARGE",
  "UNSUPPORTED_MEDIA_TYPE",
] as const satisfies readonly ProblemCode[];

function exampleOf(code: ProblemCode) {
  const { status, title, advice } = problems[code];
  return {
    type: problemType(code, "https://master.example.com"),
    title,
    status,
    code,
    detail: title,
    requestId: "2f1d7a0e-7d0c-4a39-8a3c-0b1f5f6f2c11",
    ...(code === "INVALID_FIELD" ? { errors: [{ field: "email", message: "Expected an e-mail address." }] } : {}),
    ...(advice === "retry" ? { retryAfterSeconds: 5 } : {}),
  };
}
