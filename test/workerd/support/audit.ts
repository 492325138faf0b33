import { env } from "cloudflare:workers";
import { readStoreSettings } from "../../../control-plane/settings.ts";
import { withDatabase } from "../../../control-plane/store/database.ts";
import { auditLog } from "../../../control-plane/store/schema.ts";

/** Removes what the audit log of another file has written: each file has a log of its own, and all have one database. */
export async function forgetEarlierAudit(): Promise<void> {
  await withDatabase(readStoreSettings(env), async (database) => database.delete(auditLog));
}
