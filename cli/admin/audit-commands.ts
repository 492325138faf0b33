import {
  AuditChainCheck,
  type AuditHead,
  type AuditRow,
  type AuditVerdict,
} from "../../control-plane/domain/operators/audit-chain.ts";
import { selectAuditRows } from "../../control-plane/store/audit.ts";
import type { DatabaseAddress } from "../../control-plane/store/database.ts";
import type { Command } from "../command.ts";
import { exitCodes } from "../exit-codes.ts";
import { UsageError } from "../usage-error.ts";
import { AdminError } from "./admin-api.ts";
import { namesMaster, parseAdminArguments } from "./arguments.ts";
import { everyPage, newest } from "./pages.ts";
import { auditTarget } from "./player-id.ts";
import { formatTable, formatTime, show } from "./table.ts";

interface Page {
  readonly rows: readonly AuditRow[];
  readonly next: string | null;
  readonly head: AuditHead;
  readonly pending: number;
}

const filterOptions = {
  actor: { type: "string" },
  action: { type: "string" },
  target: { type: "string" },
  limit: { type: "string" },
} as const;

/** `audit`. @param database where the database is, for a check without, or beside, the master */
export function createAuditCommand(database: (environmentFile: string) => DatabaseAddress): Command {
  return {
    usage:
      "audit [verify [--database FILE]] [--actor ID] [--action A] [--target T] [--limit N] --master URL --token-file FILE [--json]",
    does: "shows who did what, the newest 50 rows unless --limit says otherwise; T is player:ID (or the id alone), cluster:ID, key:ID or world:NAME; verify checks the chain, in the database, at the master, or both",
    run: async (args) => {
      const [first, ...rest] = args;
      if (first === "verify") await verify(rest, database);
      else await list(args);
    },
  };
}

async function list(args: readonly string[]): Promise<void> {
  const given = parseAdminArguments(args, filterOptions, 0);
  const target = given.text("target");
  const query = {
    actor: given.text("actor"),
    action: given.text("action"),
    target: target === undefined ? undefined : auditTarget(target),
  };
  const rows = await newest<AuditRow>(given, "/audit", "rows", query);
  show(given.json, rows, () =>
    rows.length === 0
      ? "nothing is on record"
      : formatTable(
          ["ROW", "TIME", "ACTOR", "ACTION", "TARGET", "OUTCOME", "DETAILS"],
          rows.map((row) => [
            String(row.sequence),
            formatTime(row.atMs),
            row.actor,
            row.action,
            row.target,
            row.intent === null ? row.outcome : `${row.outcome} (${row.intent})`,
            row.details,
          ]),
        ),
  );
}

async function verify(args: readonly string[], database: (environmentFile: string) => DatabaseAddress): Promise<void> {
  const given = parseAdminArguments(args, { database: { type: "string" } }, 0);
  const environmentFile = given.text("database") ?? "";
  const inDatabase = environmentFile !== "" || (process.env["TURSO_DATABASE_URL"] ?? "") !== "";
  const atMaster = namesMaster(args);
  if (!inDatabase && !atMaster)
    throw new UsageError("set TURSO_DATABASE_URL, name a file with --database, or the master with --master URL");
  const checks: { readonly of: string; readonly verdict: AuditVerdict; readonly pending: number }[] = [];
  let head: AuditHead | undefined;
  if (atMaster) {
    const check = new AuditChainCheck();
    for await (const page of everyPage<Page>(given.api(), "/audit", { order: "asc", limit: "500" })) {
      for (const row of page.rows) await check.add(row);
      // The last page says how far the log went when it was read.
      ({ head } = page);
    }
    checks.push({ of: "the log at the master", verdict: check.verdict(head), pending: 0 });
  }
  if (inDatabase)
    checks.push(await verifyDatabase(database(environmentFile), head, atMaster ? await pendingRows(given) : 0));
  show(given.json, checks, () => checks.map(describe).join("\n"));
  if (checks.some(({ verdict }) => !verdict.ok)) {
    throw new AdminError("the audit log is not as it was written", exitCodes.BROKEN);
  }
}

async function pendingRows(given: ReturnType<typeof parseAdminArguments>): Promise<number> {
  return (await given.api().call<Page>("GET", "/audit?limit=1")).pending;
}

const pageRows = 500;

/** Checks the copy in the database; with a head of the master's, that it ends there, but for the rows that are still on their way. */
async function verifyDatabase(address: DatabaseAddress, head: AuditHead | undefined, pending: number) {
  const check = new AuditChainCheck();
  let position: number | undefined;
  let last: AuditRow | undefined;
  for (;;) {
    const rows = await selectAuditRows(address, { order: "asc", position, filters: {}, limit: pageRows });
    for (const row of rows) await check.add(row);
    last = rows.at(-1) ?? last;
    if (rows.length < pageRows) break;
    position = last?.sequence;
  }
  const reached = last?.sequence ?? 0;
  const complete = head !== undefined && reached + pending < head.sequence;
  const sameHead = head !== undefined && reached === head.sequence;
  return { of: "the copy in the database", verdict: check.verdict(complete || sameHead ? head : undefined), pending };
}

function describe({ of, verdict, pending }: { of: string; verdict: AuditVerdict; pending: number }): string {
  if (!verdict.ok)
    return `${of}: BROKEN at row ${verdict.sequence}, which ${verdict.fault}; ${verdict.sound} rows hold`;
  const open = verdict.open.length === 0 ? "" : `; rows ${verdict.open.join(", ")} have no outcome`;
  const late = pending === 0 ? "" : `; ${pending} rows are still on their way there`;
  return `${of}: ${verdict.head.sequence} rows, unbroken${late}${open}`;
}
