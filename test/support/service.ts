/**
 * One of the services that the master calls, in a process of its own, so that it can be killed, paused and started again:
 * `service.ts database|identity PORT FILE KEY [SECRET]`. Prints `ready` when it answers.
 */
import { startLibsqlServer } from "../../dev/libsql/server.ts";
import { startSupabaseAuth } from "../../dev/supabase-auth/server.ts";

const [kind, port, file = "", key = "", secretKey = ""] = process.argv.slice(2);

process.on("disconnect", () => process.exit(0));
if (kind === "database") await startLibsqlServer({ port: Number(port), file, authToken: key });
else await startSupabaseAuth({ port: Number(port), file, publishableKey: key, secretKey });
console.log("ready");
