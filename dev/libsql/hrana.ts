import { z } from "zod";
import { ProtocolFault } from "./fault.ts";
import { type WireValue, sqlValueSchema } from "./value.ts";

/** Bounds on counts, so that a small body cannot stand for endless work. */
const maxRequests = 1_024;
const maxSteps = 8_192;
const maxArguments = 32_766;
const maxConditionDepth = 64;

const sqlId = z
  .int()
  .min(-(2 ** 31))
  .max(2 ** 31 - 1);
const sqlText = { sql: z.string().nullish(), sql_id: sqlId.nullish() };

const statement = z.object({
  ...sqlText,
  args: z.array(sqlValueSchema).max(maxArguments).nullish(),
  named_args: z
    .array(z.object({ name: z.string(), value: sqlValueSchema }))
    .max(maxArguments)
    .nullish(),
  want_rows: z.boolean().nullish(),
});
export type HranaStatement = z.infer<typeof statement>;

/** When a step of a batch runs. */
export type HranaCondition =
  | { readonly type: "ok" | "error"; readonly step: number }
  | { readonly type: "not"; readonly cond: HranaCondition }
  | { readonly type: "and" | "or"; readonly conds: readonly HranaCondition[] }
  | { readonly type: "is_autocommit" };

const conditionShape: z.ZodType<HranaCondition> = z.lazy(() =>
  z.discriminatedUnion("type", [
    z.object({ type: z.enum(["ok", "error"]), step: z.int().min(0) }),
    z.object({ type: z.literal("not"), cond: conditionShape }),
    z.object({ type: z.enum(["and", "or"]), conds: z.array(conditionShape).max(maxSteps) }),
    z.object({ type: z.literal("is_autocommit") }),
  ]),
);

const request = z.discriminatedUnion("type", [
  z.object({ type: z.literal("close") }),
  z.object({ type: z.literal("execute"), stmt: statement }),
  z.object({
    type: z.literal("batch"),
    batch: z.object({
      steps: z.array(z.object({ stmt: statement, condition: conditionShape.nullish() })).max(maxSteps),
    }),
  }),
  z.object({ type: z.literal("sequence"), ...sqlText }),
  z.object({ type: z.literal("describe"), ...sqlText }),
  z.object({ type: z.literal("store_sql"), sql_id: sqlId, sql: z.string() }),
  z.object({ type: z.literal("close_sql"), sql_id: sqlId }),
  z.object({ type: z.literal("get_autocommit") }),
]);
export type HranaRequest = z.infer<typeof request>;

const pipeline = z.object({ baton: z.string().max(256).nullish(), requests: z.array(request).max(maxRequests) });
export type HranaPipeline = z.infer<typeof pipeline>;

export interface HranaColumn {
  readonly name: string | null;
  readonly decltype: string | null;
}

export interface HranaStatementResult {
  readonly cols: readonly HranaColumn[];
  readonly rows: readonly (readonly WireValue[])[];
  readonly affected_row_count: number;
  readonly last_insert_rowid: string | null;
  readonly replication_index: null;
}

export interface HranaError {
  readonly message: string;
  readonly code: string;
}

export type HranaResponse =
  | { readonly type: "close" | "sequence" | "store_sql" | "close_sql" }
  | { readonly type: "execute"; readonly result: HranaStatementResult }
  | {
      readonly type: "batch";
      readonly result: {
        readonly step_results: readonly (HranaStatementResult | null)[];
        readonly step_errors: readonly (HranaError | null)[];
      };
    }
  | {
      readonly type: "describe";
      readonly result: {
        readonly params: readonly { readonly name: string | null }[];
        readonly cols: readonly { readonly name: string; readonly decltype: string | null }[];
        readonly is_explain: boolean;
        readonly is_readonly: boolean;
      };
    }
  | { readonly type: "get_autocommit"; readonly is_autocommit: boolean };

export type HranaResult =
  | { readonly type: "ok"; readonly response: HranaResponse }
  | { readonly type: "error"; readonly error: HranaError };

/** Parses the body of `POST /v2/pipeline`; throws `ProtocolFault` that names the field. */
export function parsePipeline(body: Buffer): HranaPipeline {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new ProtocolFault("Cannot deserialize client message from JSON: the body is not JSON");
  }
  if (nestsDeeperThan(json, maxConditionDepth)) {
    throw new ProtocolFault("Cannot deserialize client message from JSON: it is nested too deeply");
  }
  const parsed = pipeline.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue === undefined || issue.path.length === 0 ? "the body" : issue.path.join(".");
  throw new ProtocolFault(
    `Cannot deserialize client message from JSON: ${field}: ${issue?.message ?? "is not of its shape"}`,
  );
}

/** Checked without recursion before the recursive schema sees it. */
function nestsDeeperThan(json: unknown, maxDepth: number): boolean {
  let level: unknown[] = [json];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > maxDepth) return true;
    level = level.flatMap((value) => (typeof value === "object" && value !== null ? Object.values(value) : []));
  }
  return false;
}
