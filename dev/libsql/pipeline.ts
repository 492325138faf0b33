import { bindArguments, resolveSql } from "./arguments.ts";
import { type StepOutcome, isConditionMet } from "./batch.ts";
import { ProtocolFault, StatementFault } from "./fault.ts";
import type {
  HranaPipeline,
  HranaRequest,
  HranaResponse,
  HranaResult,
  HranaStatement,
  HranaStatementResult,
} from "./hrana.ts";
import { parseStatement, parseStatements } from "./sql-text.ts";
import type { Stream, Streams } from "./streams.ts";

/** Bounds of the real server on what a stream may store. */
const maxStoredSqls = 50;
const maxStoredSqlBytes = 5_000;

export interface PipelineReply {
  readonly baton: string | null;
  readonly base_url: null;
  readonly results: readonly HranaResult[];
}

/** One HTTP request's worth of work on one stream. */
export interface PipelineContext {
  readonly stream: Stream;
  /** Version of the protocol, by the path of the request. */
  readonly version: 2 | 3;
  readonly signal: AbortSignal;
}

/**
 * Runs the requests of a pipeline in order. One that fails does not stop the others.
 * @throws ProtocolFault, StreamExpired, TooManyStreams: then the stream is closed
 */
export async function runPipeline(
  streams: Streams,
  pipeline: HranaPipeline,
  version: 2 | 3,
  signal: AbortSignal,
): Promise<PipelineReply> {
  const stream = streams.acquire(pipeline.baton ?? undefined);
  const context: PipelineContext = { stream, version, signal };
  const results: HranaResult[] = [];
  let closed = false;
  let done = false;
  try {
    for (const request of pipeline.requests) {
      if (closed && request.type !== "close") throw new ProtocolFault("Stream for this baton was closed");
      results.push(await runRequest(context, request));
      if (request.type === "close") {
        streams.close(stream);
        closed = true;
      }
    }
    done = true;
  } finally {
    // Nobody will ever come back for a stream whose baton could not be delivered.
    if (!done || signal.aborted) {
      streams.close(stream);
      closed = true;
    }
  }
  return { baton: closed ? null : streams.release(stream), base_url: null, results };
}

async function runRequest(context: PipelineContext, request: HranaRequest): Promise<HranaResult> {
  try {
    return { type: "ok", response: await respond(context, request) };
  } catch (cause) {
    if (cause instanceof StatementFault) return { type: "error", error: { message: cause.message, code: cause.code } };
    throw cause;
  }
}

async function respond(context: PipelineContext, request: HranaRequest): Promise<HranaResponse> {
  const { connection, sqls } = context.stream;
  switch (request.type) {
    case "close":
      return { type: "close" };
    case "execute":
      return { type: "execute", result: await execute(context, request.stmt) };
    case "batch":
      return runBatch(context, request.batch.steps);
    case "sequence":
      for (const statement of parseStatements(resolveSql(request, sqls))) {
        await connection.execute(statement, bindArguments(statement, {}), false, context.signal);
      }
      return { type: "sequence" };
    case "describe": {
      const statement = parseStatement(resolveSql(request, sqls));
      const cols = connection.describe(statement);
      return {
        type: "describe",
        result: {
          params: statement.parameters.map((name) => ({ name: name ?? null })),
          cols: cols.map(({ name, decltype }) => ({ name: name ?? "", decltype })),
          is_explain: statement.explain,
          is_readonly: statement.kind !== "write" && statement.kind !== "setting",
        },
      };
    }
    case "store_sql":
      storeSql(sqls, request.sql_id, request.sql);
      return { type: "store_sql" };
    case "close_sql":
      sqls.delete(request.sql_id);
      return { type: "close_sql" };
    case "get_autocommit":
      requireVersion3(context, "The `get_autocommit` request");
      return { type: "get_autocommit", is_autocommit: !connection.inTransaction };
  }
}

async function execute(context: PipelineContext, given: HranaStatement): Promise<HranaStatementResult> {
  const { connection, sqls } = context.stream;
  const statement = parseStatement(resolveSql(given, sqls));
  return connection.execute(statement, bindArguments(statement, given), given.want_rows ?? true, context.signal);
}

async function runBatch(
  context: PipelineContext,
  steps: Extract<HranaRequest, { type: "batch" }>["batch"]["steps"],
): Promise<HranaResponse> {
  const outcomes: StepOutcome[] = [];
  const isAutocommit = (): boolean => {
    requireVersion3(context, "The `is_autocommit` condition");
    return !context.stream.connection.inTransaction;
  };
  for (const { stmt, condition } of steps) {
    if (condition && !isConditionMet(condition, outcomes, isAutocommit)) {
      outcomes.push(undefined);
      continue;
    }
    try {
      outcomes.push({ result: await execute(context, stmt) });
    } catch (cause) {
      if (!(cause instanceof StatementFault)) throw cause;
      outcomes.push({ error: { message: cause.message, code: cause.code } });
    }
  }
  return {
    type: "batch",
    result: {
      step_results: outcomes.map((outcome) => (outcome !== undefined && "result" in outcome ? outcome.result : null)),
      step_errors: outcomes.map((outcome) => (outcome !== undefined && "error" in outcome ? outcome.error : null)),
    },
  };
}

function storeSql(sqls: Map<number, string>, id: number, sql: string): void {
  if (sqls.has(id)) throw new ProtocolFault(`SQL text ${id} already exists`);
  if (sqls.size >= maxStoredSqls) {
    throw new StatementFault(
      "SQL_STORE_TOO_MANY",
      `The server already stores ${sqls.size} SQL texts, it cannot store more`,
    );
  }
  if (Buffer.byteLength(sql) > maxStoredSqlBytes) {
    throw new StatementFault(
      "SQL_STORE_TOO_LARGE",
      `The statement is too large to be stored: over ${maxStoredSqlBytes} bytes`,
    );
  }
  sqls.set(id, sql);
}

function requireVersion3(context: PipelineContext, what: string): void {
  if (context.version < 3) throw new ProtocolFault(`${what} is only supported in protocol version hrana3 and higher`);
}
