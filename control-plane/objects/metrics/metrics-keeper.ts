import { DurableObject } from "cloudflare:workers";
import type { CountDelta } from "../../domain/metrics/metric-counts.ts";
import { migrateStorage } from "../schema.ts";

/** Append-only: see `migrateStorage`. */
export const metricsKeeperMigrations: readonly string[] = [
  "CREATE TABLE counts (series TEXT PRIMARY KEY, value REAL NOT NULL) STRICT, WITHOUT ROWID",
];

/** Labels take their values from closed lists, so this is far away; it stops a mistake from filling the object. */
const maxSeries = 5_000;

/** Keeps what isolates have counted: they come and go, and counters only grow. */
export class MetricsKeeper extends DurableObject<Env> {
  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    migrateStorage(context.storage, metricsKeeperMigrations);
  }

  add(deltas: readonly CountDelta[]): void {
    const { sql } = this.ctx.storage;
    const { known } = sql.exec<{ known: number }>("SELECT count(*) AS known FROM counts").one();
    this.ctx.storage.transactionSync(() => {
      for (const [series, by] of deltas.slice(0, maxSeries)) {
        const update = "UPDATE counts SET value = value + ? WHERE series = ?";
        if (known < maxSeries) {
          sql.exec(
            "INSERT INTO counts (series, value) VALUES (?, ?) ON CONFLICT (series) DO UPDATE SET value = value + excluded.value",
            series,
            by,
          );
        } else {
          sql.exec(update, by, series);
        }
      }
    });
  }

  counts(): CountDelta[] {
    return this.ctx.storage.sql
      .exec<{ series: string; value: number }>("SELECT series, value FROM counts ORDER BY series")
      .toArray()
      .map(({ series, value }) => [series, value]);
  }
}
